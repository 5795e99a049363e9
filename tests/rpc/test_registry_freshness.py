"""Two real registries on one server: what one acknowledged, the other knows."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.local import embedded_redis
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state import reader
from headrace.state.connection import Redis
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.rpc.test_registry_outage import _wait_for_readiness

LIST = pb.ListModelsRequest()


async def create(running: RunningRegistry, name: str) -> None:
    """Make a model."""
    await running.stub.CreateModel(pb.CreateModelRequest(model={"name": f"models/{name}"}))


@asynccontextmanager
async def two_registries(
    url: str, namespace: str, folder: Path, patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[RunningRegistry, RunningRegistry]]:
    """Two registries, the second of which follows the state a twentieth of a second late."""
    read_changes, first = reader.read_changes, []

    async def late(redis: Redis, *args: Any) -> Any:
        first.append(redis)
        changes = await read_changes(redis, *args)
        await asyncio.sleep(0 if redis is first[0] else 0.05)
        return changes

    patch.setattr(reader, "read_changes", late)
    async with running_registry(url, namespace, folder / "one") as one:
        await create(one, "first")
        async with running_registry(url, namespace, folder / "two") as two:
            yield one, two


async def test_no_list_is_behind_what_another_registry_acknowledged(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each model is in every list, and known to every change, that begins after its creation."""
    async with two_registries(redis_url, namespace, tmp_path, monkeypatch) as (one, two):
        for count in range(2, 12):
            await create(one, f"m{count}")
            lists = [two.stub.ListModels(LIST) for _ in range(5)]
            listed = await asyncio.gather(*lists)
            assert {count} == {len(each.models) for each in listed}
            edit = pb.UpdateModelRequest(model={"name": f"models/m{count}", "keep_latest": 2})
            assert 2 == (await two.stub.UpdateModel(edit)).keep_latest


async def test_reads_go_on_while_the_server_does_not_answer(namespace: str, tmp_path: Path) -> None:
    """A server that hangs holds lists up for a moment, and no longer once that is known."""
    binary = embedded_redis.find_server()
    with embedded_redis.open_location(tmp_path / "state") as place:
        async with (
            embedded_redis.open_server_process(binary, place) as process,
            running_registry(place.url, namespace, tmp_path / "registry") as running,
        ):
            await _wait_for_readiness(running, expected=200)
            await create(running, "m")
            process.send_signal(signal.SIGSTOP)
            try:
                async with asyncio.timeout(4):
                    lists = [running.stub.ListModels(LIST) for _ in range(20)]
                    listed = await asyncio.gather(*lists)
            finally:
                process.send_signal(signal.SIGCONT)
    assert {1} == {len(each.models) for each in listed}
