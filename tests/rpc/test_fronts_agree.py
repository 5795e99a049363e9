"""Every front gives what bare ONNX Runtime gives for a request alone, bit for bit, beside any others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace_inference.domain.scheduling.requests import Array
from tests.rpc.agreement import (
    CONFIGS,
    KINDS,
    NOT_IN_JSON,
    UNORDERED,
    Ask,
    Reference,
    Wires,
    models,
    name_of,
    open_wires,
)
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.rest_fixtures import Model

OUTPUTS = {"apart": ("y", "twice"), "odd": ("more", "fewer", "none", "size")}
QUICK = settings(
    max_examples=60, derandomize=True, deadline=None, phases=(Phase.generate,), database=None
)
LONG = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))


def values(datatype: Datatype, shape: tuple[int, int], seed: int) -> Array:
    """Any values that a datatype has: of floats also those that are not finite, of texts any."""
    random = np.random.default_rng(seed)
    if datatype is Datatype.BYTES:
        array: Array = np.empty(shape, np.object_)
        texts = ("", "a", "grüße", '\x00 "\\\n', "x" * 300)
        array.ravel()[:] = [texts[random.integers(len(texts))].encode() for _ in range(array.size)]
        return array
    dtype = NUMPY_DTYPES[datatype]
    if datatype is Datatype.BOOL:
        return random.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        return np.frombuffer(random.bytes(dtype.itemsize * shape[0] * shape[1]), dtype).reshape(
            shape
        )
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5], np.float64)
    mixed = np.where(
        random.random(shape) < 0.3, random.choice(odd, shape), random.normal(size=shape)
    )
    return mixed.astype(dtype)


@st.composite
def burst(draw: st.DrawFn, datatypes: Sequence[Datatype]) -> tuple[str, Datatype, list[Ask]]:
    """Requests of one model that come together."""
    datatype = draw(st.sampled_from(datatypes))
    kind = draw(st.sampled_from(KINDS))
    config = draw(st.sampled_from(list(CONFIGS)))
    # A version that does not batch takes any rows, too: they are a dimension like all others.
    asks = draw(st.lists(request(datatype, OUTPUTS[kind]), min_size=1, max_size=4))
    return name_of(kind, datatype, config), datatype, asks


@st.composite
def request(draw: st.DrawFn, datatype: Datatype, outputs: Sequence[str]) -> Ask:
    """A request of some rows, for some outputs in some order, or all."""
    shape = draw(st.integers(0, 5)), draw(st.sampled_from([0, 1, 2, 3, 3, 3, 40]))
    wanted = draw(st.permutations(outputs))[: draw(st.integers(0, len(outputs)))]
    can_classify = datatype not in UNORDERED and wanted
    classes = draw(st.sampled_from([0, 0, 1, 3])) if can_classify else 0
    return Ask(values(datatype, shape, draw(st.integers(0, 2**32))), tuple(wanted), classes)


async def hold(tmp_path: Path, served: list[Model], run: settings) -> None:
    """Have these models behind every front, and look for requests that any answers otherwise."""
    references = {each.record.model: Reference(each) for each in served}
    datatypes = list(dict.fromkeys(each.record.signature.inputs[0].datatype for each in served))
    folders = [tmp_path / front for front in ("native", "grpcio")]
    for folder in folders:
        folder.mkdir()
    async with (
        open_grpc_replica(folders[0], *served, front="native") as native,
        open_grpc_replica(folders[1], *served, front="grpcio") as grpcio,
    ):
        with ExitStack() as stack:
            wires = [
                stack.enter_context(open_wires(replica.grpc_address, replica.http_address))
                for replica in (native, grpcio)
            ]

            @run
            @given(burst(datatypes))
            def agree(asked: tuple[str, Datatype, list[Ask]]) -> None:
                check(references[asked[0]], wires, *asked)

            await asyncio.to_thread(agree)


def check(
    reference: Reference, wires: list[Wires], name: str, datatype: Datatype, asks: list[Ask]
) -> None:
    """Every way in gives what the reference gives, each request for itself."""
    expected = [reference.answer(ask) for ask in asks]
    first, second = wires
    ways: dict[str, Any] = {
        "native": first.unary,
        "native stream": first.stream,
        "grpcio": second.unary,
        "grpcio stream": second.stream,
        "rest, binary": partial(first.rest, binary=True),
    }
    if datatype not in NOT_IN_JSON:
        ways["rest, json"] = partial(second.rest, binary=False)
    for way, send in ways.items():
        assert (way, expected) == (way, send(name, datatype, asks))


async def test_every_front_answers_as_onnx_runtime_does(tmp_path: Path) -> None:
    """A sample of it; the same one each time."""
    await hold(
        tmp_path, models([Datatype.FP32, Datatype.INT8, Datatype.BYTES, Datatype.BF16]), QUICK
    )


@pytest.mark.toolchain
async def test_every_front_answers_as_onnx_runtime_does_at_length(tmp_path: Path) -> None:
    """All datatypes, and other requests each time."""
    await hold(tmp_path, models(list(Datatype)), LONG)
