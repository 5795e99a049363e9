"""A disk that is filled by pushes: the state can be written to the end, and deletions make room again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from headrace import errors
from headrace.client import AsyncClient
from headrace.state.records import LoadState
from tests.faults.nemesis import small_disk
from tests.rpc.registry_fixtures import onnx_file
from tests.suite import RunningSuite, running_suite

DISK_MEGABYTES = 240
MODEL_MEGABYTES = 6
pytestmark = [pytest.mark.faults, pytest.mark.toolchain, pytest.mark.timeout(300)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk that has all that the suite writes."""
    try:
        with small_disk(tmp_path / "disk", DISK_MEGABYTES) as folder:
            yield folder
    except OSError as error:
        pytest.skip(str(error))


def large_model(number: int) -> bytes:
    """A graph of its own, with weights that nothing needs."""
    graph = onnx.load_model_from_string(onnx_file(bias=float(number)))
    weights = np.random.default_rng(number).random(MODEL_MEGABYTES << 18, np.float32)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(weights, "unused"))
    return bytes(graph.SerializeToString())


async def test_pushes_fill_a_disk(disk: Path, tmp_path: Path) -> None:
    """They are refused while there is still room for aliases and deletions, whatever replicas copy."""
    # What the replicas of a machine fetched they have once: pushes fill the disk with what they gave up.
    environ = {"HEADRACE_INFERENCE_CACHE_MAX_BYTES": str(2 * MODEL_MEGABYTES << 20)}
    async with running_suite(disk, replicas=3, environ=environ) as suite:
        pids = suite.pids()
        async with _client(suite) as client:
            pushed = await _push_until_refused(client, tmp_path)
            await _move(client, "best", [1 + number % 2 for number in range(200)])
            for number in range(
                1, pushed + 1
            ):  # replicas are to fetch all of them, which cannot fit
                await _move(client, f"all-{number}", [number])
            await _until_settled(client, pushed)
            await _move(client, "best", [1 + number % 2 for number in range(200)])
            for number in range(1, pushed + 1):
                await client.delete_alias("m", f"all-{number}")
            for number in range(3, pushed + 1):
                await client.delete_version("m", number)
            await client.wait_until_ready("m", 1, timeout_seconds=60)
            answer = await client.infer("m", {"x": np.zeros((1, 4), np.float32)}, version=1)
            assert [1.0] * 4 == answer.outputs["y"][0].tolist()
            again = await _push_until_refused(client, tmp_path)
        assert pids == suite.pids()
    assert pushed > 3
    assert again > 1


async def _move(client: AsyncClient, alias: str, numbers: list[int]) -> None:
    for number in numbers:
        await client.alias("m", alias, number, allow_unready=True)


async def _until_settled(client: AsyncClient, count: int) -> None:
    """Wait until every replica has loaded so many versions, or failed to: some for want of room."""
    async with asyncio.timeout(90):
        while True:
            replicas = await client.replicas()
            versions = [version for replica in replicas for version in replica.versions]
            full = [each for each in versions if "CACHE_DISK_FULL" in each.reason]
            settled = [each for each in versions if each.state is LoadState.READY or each.reason]
            if full and len(settled) == count * len(replicas):
                return
            await asyncio.sleep(0.1)


def _client(suite: RunningSuite) -> AsyncClient:
    return AsyncClient(registry=suite.registry, inference=suite.inference, monitor=suite.monitor)


async def _push_until_refused(client: AsyncClient, folder: Path) -> int:
    """How many versions the registry took before its disk was full."""
    for taken in range(DISK_MEGABYTES):
        file = folder / "model.onnx"
        file.write_bytes(large_model(taken + 1))
        try:
            await client.push("m", file, timeout_seconds=60)
        except errors.ResourceExhausted:
            return taken
    raise AssertionError("the disk was never full")
