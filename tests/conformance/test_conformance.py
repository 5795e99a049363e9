"""What bare ONNX Runtime answers, Headrace answers, bit for bit: a fast part of `make conformance`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conformance.bare import Examined, examine
from tests.conformance.batching import is_proposed, proposed, sharing, with_free_rows
from tests.conformance.calling import open_caller
from tests.conformance.cases import KINDS, LIGHT, Case, load_cases
from tests.conformance.odd_graphs import odd_cases
from tests.conformance.outcomes import Wire
from tests.conformance.running import WIRES, call_all
from tests.conformance.serving import (
    Configure,
    Front,
    Serving,
    open_in_process,
    open_whole_suite,
    unbatched,
)
from tests.conformance.subset import FORMS, OPERATORS


@functools.cache
def examined(names: tuple[str, ...]) -> list[Examined]:
    """These cases of ONNX's suite, all of which the reference runs."""
    return run_by_the_reference([stored_cases()[name] for name in names])


@functools.cache
def stored_cases() -> dict[str, Case]:
    """The cases of ONNX's suite by name, but the large models."""
    return {case.name: case for case in load_cases([kind for kind in KINDS if kind != LIGHT])}


def run_by_the_reference(cases: Sequence[Case]) -> list[Examined]:
    """The cases, examined; a test of a case that the reference does not run would test nothing."""
    found = [examine(case) for case in cases]
    assert [] == [(one.case.name, one.failure) for one in found if not one.answers]
    return found


async def faults(
    serving: Serving,
    cases: Sequence[Examined],
    wires: Sequence[Wire] = WIRES,
    configure: Configure = unbatched,
) -> list[str]:
    """What is wrong with these cases on a server, one line each."""
    async with open_caller(serving.grpc_address, serving.http_address) as caller:
        results = [result async for result in call_all(serving, caller, cases, wires, configure)]
    assert len(cases) == len(results)
    return [f"{one.examined.case.name}: {fault}" for one in results for fault in one.faults()]


@pytest.mark.parametrize("front", ["native", pytest.param("grpcio", marks=pytest.mark.toolchain)])
async def test_answers_are_those_of_onnx_runtime(front: Front, tmp_path: Path) -> None:
    """A hundred cases, raw and typed over gRPC, binary and JSON over HTTP."""
    async with open_in_process(tmp_path, front) as serving:
        assert [] == await faults(serving, examined(FORMS + OPERATORS))


@pytest.mark.e2e
@pytest.mark.parametrize("step", [2, pytest.param(1, marks=pytest.mark.toolchain)])
async def test_pushed_cases_answer_as_onnx_runtime(tmp_path: Path, step: int) -> None:
    """Cases of every form, pushed to a registry process and served by a replica process."""
    async with open_whole_suite(tmp_path) as serving:
        assert [] == await faults(serving, examined(FORMS[::step]))


async def test_odd_graphs_are_served_as_onnx_runtime_runs_them(tmp_path: Path) -> None:
    """Names with JSON in them, scalars, empty tensors, limits, weights as inputs and as outputs."""
    async with open_in_process(tmp_path) as serving:
        assert [] == await faults(serving, run_by_the_reference(odd_cases()))


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.toolchain)])
async def test_proposed_batching_changes_no_answer(tmp_path: Path, step: int) -> None:
    """Cases with a free first dimension, alone and sharing runs; those that mix rows get no proposal."""
    names = (FORMS + OPERATORS)[::step]
    cases = [rows for name in names if (rows := with_free_rows(stored_cases()[name]))]
    batched = [one for one in map(examine, cases) if one.answers and is_proposed(one)]
    assert len(batched) >= 20 // step
    async with open_in_process(tmp_path) as serving:
        assert [] == await faults(serving, batched, (Wire.ALONE,), proposed)
        assert [] == await faults(serving, batched, (Wire.TOGETHER,), sharing)


@pytest.mark.parametrize(
    "name",
    [
        "node.softmax_axis_0",
        "node.tril",
        "node.l2normalization_axis_0",
        "node.eyelike_without_dtype",
    ],
)
def test_a_graph_that_mixes_rows_gets_no_proposal(name: str) -> None:
    """Its signature says that it batches; its answers would change with the company they are in."""
    case = with_free_rows(stored_cases()[name])
    assert case is not None
    assert not is_proposed(examine(case))
