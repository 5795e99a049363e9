"""Files of loaded versions that are altered on the disk: seen in the background, and made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from headrace import AsyncClient
from headrace.errors import HeadraceError
from headrace.service.serving import open_background
from headrace.state.connection import open_redis
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.records import LoadState
from headrace.tls.peers import PlainPeer
from headrace_inference.adapters.artifact_cache.sources import RegistrySource
from headrace_inference.adapters.runtime.prepared_graph import GRAPH, WEIGHTS
from headrace_inference.app.models import Loads, open_loads, open_models
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_registry.app import open_registry
from tests.rpc.registry_fixtures import eventually
from tests.rpc.registry_fixtures import settings as registry_settings
from tests.rpc.replica_fixtures import replica_settings
from tests.unit.inference.preparation.fixtures import images, layered


@dataclass
class Loaded:
    """A version that a registry has and a reconciler has loaded, and what its scrubber reported."""

    reconciler: VersionReconciler
    loads: Loads
    data: Path
    reported: list[HeadraceError]

    @property
    def runner(self) -> Runner:
        """What answers."""
        return self.reconciler.table.find("m", "").runner

    def answer(self) -> bytes:
        """What it answers."""
        (found,) = self.runner.run([images()])
        return found.tobytes()

    def is_ready(self) -> bool:
        """Whether the version answers."""
        return [LoadState.READY] == [each.state for each in self.reconciler.versions()]


@asynccontextmanager
async def loaded(redis_url: str, namespace: str, folder: Path) -> AsyncIterator[Loaded]:
    """The version, whose files are read again and again."""
    path, _ = layered(folder / "pushed")
    reported: list[HeadraceError] = []
    async with AsyncExitStack() as stack:
        chosen = registry_settings(redis_url, namespace, folder / "registry")
        registry = await stack.enter_async_context(open_registry(chosen, asyncio.Event()))
        client = AsyncClient(registry=registry.grpc_address)
        await stack.enter_async_context(client)
        await client.push("m", path.read_bytes())
        channel = grpc.aio.insecure_channel(registry.grpc_address)
        await stack.enter_async_context(channel)
        redis = await stack.enter_async_context(open_redis(redis_url))
        follower = StateFollower(redis, Keys(namespace))
        await follower.refresh()
        settings = replica_settings(
            redis_url, folder / "data", registry.grpc_address, tuning_seconds=0.0
        )
        source = RegistrySource(PlainPeer(channel))
        loads = stack.enter_context(open_loads(settings, source, follower))
        models = await stack.enter_async_context(open_models(settings, loads, StatisticsRegistry()))
        reconciler = models.reconciler

        def reopen(runner: Runner, error: HeadraceError) -> None:
            reported.append(error)
            reconciler.reopen(runner, error)

        models.want(follower.catalog)
        there = Loaded(reconciler, loads, folder / "data", reported)
        await eventually(there.is_ready)
        assert loads.scrubber is not None
        jobs = await stack.enter_async_context(open_background())
        jobs.run(loads.scrubber.run(reopen, pass_seconds=0.0, look_seconds=0.01))
        yield there


def altered(path: Path) -> None:
    """One bit, in place."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
async def test_a_version_whose_graph_was_altered_is_opened_anew(
    redis_url: str, namespace: str, tmp_path: Path, name: str
) -> None:
    """Its weights are mapped: what changes on the disk changes its answers."""
    async with loaded(redis_url, namespace, tmp_path) as there:
        expected, before = there.answer(), there.runner
        (path,) = there.data.glob(f"prepared/*/*/{name}")
        altered(path)
        await eventually(lambda: bool(there.reported) and there.is_ready())
        assert (expected, False) == (there.answer(), before is there.runner)
        assert 1 == there.loads.checks.damaged_files
    assert ["ARTIFACT_DAMAGED"] == [each.reason for each in there.reported]


@pytest.mark.parametrize("damage", [altered, lambda path: path.write_bytes(b"")])
async def test_an_artifact_that_was_altered_is_fetched_again(
    redis_url: str, namespace: str, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """The version goes on: it has its prepared graph, and all else in memory."""
    async with loaded(redis_url, namespace, tmp_path) as there:
        before = there.runner
        (path,) = there.data.glob("artifacts/versions/*/model.onnx")
        pushed = path.read_bytes()
        damage(path)
        await eventually(lambda: path.is_file() and path.read_bytes() == pushed)
        assert before is there.runner
    assert [] == there.reported
