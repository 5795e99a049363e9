"""How checks share the machine: slow ones, large ones, and those of bytes that were checked before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from headrace import errors
from headrace.state.records import SessionOptions
from headrace_registry.adapters.checks import checker
from headrace_registry.adapters.checks.limits import CheckLimits
from headrace_registry.domain.pushes.artifacts import Format, RequestedOptions
from tests.rpc.checker_fixtures import bench
from tests.rpc.registry_fixtures import (
    external_data_files,
    folding_graph,
    heavy_graph,
    onnx_file,
    tar_of,
    zip_of,
)

MIB = 1 << 20


def _classifier() -> bytes:
    """A graph that ends in a ZipMap, as converters of scikit-learn write it."""
    zip_map = helper.make_node(
        "ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3]
    )
    element = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    )
    graph = helper.make_graph(
        [zip_map],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_value_info("y", helper.make_sequence_type_proto(element))],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("file_format", "artifact", "children"),
    [
        (Format.ONNX, onnx_file(), 1),
        (Format.ZIP, zip_of(external_data_files()), 2),  # the second one only unpacks
        (Format.TAR, tar_of(external_data_files(), "w"), 2),
        (Format.ONNX, _classifier(), 2),  # its ZipMap is taken off anew
    ],
)
async def test_the_same_bytes_are_checked_once(
    tmp_path: Path, file_format: Format, artifact: bytes, children: int
) -> None:
    """Who pushes them again gets the same result, and the same files."""
    with bench(tmp_path) as here:
        first = await here.check(artifact, file_format)
        again = await here.check(artifact, file_format, model="other")
        assert first == again
        assert children == here.threads.children


async def test_a_crowd_with_the_same_bytes_waits_for_one_check(tmp_path: Path) -> None:
    """Ten that come together cost one check, and so does a refusal."""
    with bench(tmp_path, at_a_time=2) as here:
        crowd = [here.check(onnx_file()) for _ in range(10)]
        found = await asyncio.gather(*crowd)
        assert [found[0]] * 10 == found
        crowd = [here.check(b"no graph") for _ in range(5)]
        refused = await asyncio.gather(*crowd, return_exceptions=True)
        assert ["MODEL_REFUSED"] * 5 == [error.reason for error in _refusals(refused)]
        assert 2 == here.threads.children


def _refusals(results: list[Any]) -> list[errors.HeadraceError]:
    return [result for result in results if isinstance(result, errors.HeadraceError)]


async def test_other_questions_are_asked_anew(tmp_path: Path) -> None:
    """What was found for one serving config is not believed for another."""
    asked = RequestedOptions(SessionOptions(free_dimensions={"batch": 3}))
    with bench(tmp_path) as here:
        free, _ = await here.check(onnx_file())
        fixed, _ = await here.check(onnx_file(), asked=asked)
        other, _ = await here.check(onnx_file(2.0))
        assert 3 == here.threads.children
    assert [-1, 3, -1] == [checked.signature.inputs[0].shape[0] for checked in (free, fixed, other)]


async def test_what_a_check_ran_out_of_is_not_remembered(tmp_path: Path) -> None:
    """A time limit may be the machine's fault: the next push of the same bytes is looked at again."""
    graph = folding_graph(4000, 500)
    with bench(tmp_path, seconds=1.0) as here:
        for _ in range(2):
            with pytest.raises(errors.InvalidArgument, match="took more than 1 s"):
                await here.check(graph)
        assert 2 == here.threads.children


async def test_slow_checks_hold_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one place, and two checks that take all the time they may, others go through."""
    monkeypatch.setattr(checker, "MAX_WAITING", 0)
    slow = [folding_graph(4000, 500 + place) for place in range(2)]
    with bench(tmp_path, quick_seconds=3.0, seconds=300.0) as here:
        holding = [
            asyncio.ensure_future(here.check(graph, model=f"slow-{place}"))
            for place, graph in enumerate(slow)
        ]
        await asyncio.sleep(0)  # they ask first
        checked, _ = await here.check(onnx_file())
        with pytest.raises(errors.ResourceExhausted, match="takes long") as raised:
            await holding[1]
        assert not holding[0].done()
        holding[0].cancel()
        await asyncio.wait(holding)
    assert "model.onnx" == checked.graph_path
    assert "CHECKS_BUSY" == raised.value.reason
    assert raised.value.retry_after_seconds


async def test_a_check_that_finds_no_place_aside_is_begun_anew(tmp_path: Path) -> None:
    """What it had unpacked and changed goes first."""
    archives = [zip_of({"net/model.onnx": onnx_file(bias)}) for bias in (1.0, 2.0)]
    with bench(tmp_path, quick_seconds=0.1) as here:
        checks = (here.check(archive, Format.ZIP) for archive in archives)
        found = await asyncio.gather(*checks)
        assert 3 == here.threads.children
    assert [onnx_file(1.0), onnx_file(2.0)] == [files["model.onnx"] for _, files in found]


@pytest.mark.parametrize("file_format", [Format.ONNX, Format.ZIP])
async def test_the_memory_of_a_check_grows_with_the_artifact(
    tmp_path: Path, file_format: Format
) -> None:
    """Also where its size shows only when it is unpacked; a machine without that memory refuses it."""
    graph = heavy_graph(100)
    artifact = graph if file_format is Format.ONNX else zip_of({"model.onnx": graph})
    with bench(tmp_path, memory_bytes=250 * MIB) as here:
        checked, _ = await here.check(artifact, file_format)
    assert "y" == checked.signature.outputs[0].name
    (tmp_path / "small").mkdir()
    with (
        bench(tmp_path / "small", memory_bytes=250 * MIB, machine_bytes=0) as here,
        pytest.raises(errors.InvalidArgument) as raised,
    ):
        await here.check(artifact, file_format)
    assert "MODEL_CHECK_OUT_OF_MEMORY" == raised.value.reason


@pytest.mark.parametrize(
    ("size", "file_format", "machine", "reason"),
    [
        (1 << 30, Format.ONNX, 16 << 30, None),
        (1 << 30, Format.ONNX, 1 << 30, None),  # the setting is believed
        ((2 << 30) - 1, Format.ONNX, 16 << 30, None),
        ((2 << 30) - 1, Format.ONNX, 2 << 30, "ARTIFACT_TOO_LARGE"),
        (10 << 30, Format.TAR, 16 << 30, None),
        (10 << 30, Format.TAR, 2 << 30, None),  # external data is mapped
        (70 << 30, Format.TAR, 512 << 30, "ARCHIVE_TOO_LARGE"),
        (70 << 30, Format.ZIP, 512 << 30, None),
    ],
)
def test_what_no_check_could_take_is_refused_by_its_size(
    size: int, file_format: Format, machine: int, reason: str | None
) -> None:
    """Before it is sent; what might be taken is let through."""
    limits = CheckLimits(120.0, 3 << 30, 64 << 30, 10_000, 100, 1, 30.0, machine)
    found = _reason(lambda: limits.admit(size, file_format))
    assert reason == found


def _reason(work: Callable[[], None]) -> str | None:
    try:
        work()
    except errors.ResourceExhausted as error:
        return error.reason
    return None
