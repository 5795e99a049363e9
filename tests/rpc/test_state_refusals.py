"""A shared state whose server is there and refuses, or goes back: full, read-only, restored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import errors
from headrace.local import embedded_redis
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.service.serving import open_background
from headrace.state import presence
from headrace.state.connection import Redis, open_redis
from headrace.state.keys import Keys
from headrace.state.records import ReplicaRecord
from headrace_inference.adapters.presence import PresenceWriter, keep_present
from tests.rpc.held_models import Models
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    eventually,
    onnx_file,
    push,
    running_registry,
)

RECORD = ReplicaRecord("replica-0", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", 7, 0.0, 0)


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[str, Redis]]:
    """A server of the test's own, and a client of it."""
    async with embedded_redis.open_embedded_server(folder) as url, open_redis(url) as redis:
        yield url, redis


async def refuse(redis: Redis, how: str) -> None:
    """Have the server refuse writes as it does when its memory is full, or it is a replica now."""
    if how == "full":
        await redis.config_set("maxmemory", "1")
    else:
        await redis.send("REPLICAOF", "127.0.0.1", "1")


async def take_again(redis: Redis) -> None:
    """Have the server take writes again."""
    await redis.config_set("maxmemory", "0")
    await redis.send("REPLICAOF", "NO", "ONE")


def create(running: RunningRegistry, name: str) -> Any:
    """A call that makes a model."""
    return running.stub.CreateModel(pb.CreateModelRequest(model={"name": f"models/{name}"}))


async def until_taken(running: RunningRegistry) -> None:
    """Make a model, as soon as that is possible."""
    async with asyncio.timeout(20):
        while True:
            try:
                await create(running, "digits")
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_writes_are_refused_and_heal(namespace: str, tmp_path: Path, how: str) -> None:
    """The registry quotes the server, reads on, and writes again when the server does."""
    async with (
        server(tmp_path / "state") as (url, redis),
        running_registry(url, namespace, tmp_path / "registry") as running,
    ):
        await create(running, "before")
        await refuse(redis, how)
        refused = await error_of(create(running, "refused"))
        listed = await running.stub.ListModels(pb.ListModelsRequest())
        replicas = await running.stub.ListReplicas(pb.ListReplicasRequest())
        await take_again(redis)
        await create(running, "after")
    assert isinstance(refused, errors.Unavailable)
    assert ("STATE_REFUSED", 1.0) == (refused.reason, refused.retry_after_seconds)
    assert ["models/before"] == [model.name for model in listed.models]
    assert [] == list(replicas.replicas)


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_a_registry_starts_beside_a_server_that_refuses(
    namespace: str, tmp_path: Path, how: str
) -> None:
    """It waits for the server to take its first word, as it waits for one that is away."""
    async with server(tmp_path / "state") as (url, redis):
        await refuse(redis, how)
        async with running_registry(url, namespace, tmp_path / "registry") as running:
            first = await error_of(running.stub.ListModels(pb.ListModelsRequest()))
            await take_again(redis)
            await until_taken(running)
    assert isinstance(first, errors.Unavailable)


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_a_replica_outlives_a_server_that_refuses(
    namespace: str, tmp_path: Path, how: str
) -> None:
    """Its presence ends and comes back; the job that keeps it never ends."""
    keys, changed, told = Keys(namespace), asyncio.Event(), []

    def describe() -> ReplicaRecord:
        told.append(1)
        return RECORD

    async with server(tmp_path / "state") as (_, redis), open_background() as jobs:
        await refuse(redis, how)
        jobs.run(keep_present(PresenceWriter(redis, keys, Models(), describe), changed))
        await eventually(lambda: len(told) > 1)
        await take_again(redis)
        changed.set()
        async with asyncio.timeout(10):
            while not await presence.read_replicas(redis, keys):  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.05)


async def test_a_replica_with_a_wrong_clock_is_seen(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a replica is there is said by the server's clock, not by those of two machines."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        with monkeypatch.context() as patched:
            patched.setattr("time.time", lambda: 0.0)
            await presence.announce(redis, keys, RECORD)
        found = await presence.read_replicas(redis, keys)
        again = await presence.read_replicas(redis, keys)
    assert [[RECORD], [RECORD]] == [found, again]


async def test_a_quiet_watch_hears_that_the_state_went_back(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A watcher that is ahead of a restored state is told to list again, not left to wait."""
    keys = Keys(namespace)
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path) as running,
    ):
        for name in ("one", "two", "three"):
            await create(running, name)
        watch = running.stub.WatchChanges(pb.WatchChangesRequest(start_revision=2))
        assert 3 == (await watch.read()).revision
        await redis.set(keys.revision, 1)
        async with asyncio.timeout(20):
            error = await error_of(watch.read())
    assert isinstance(error, errors.OutOfRange)
    assert "HISTORY_DIFFERS" == error.reason


async def test_a_delete_is_done_whole_though_its_caller_goes(
    namespace: str, tmp_path: Path
) -> None:
    """A caller that leaves while the change is on its way leaves no bytes behind that nothing names."""
    async with (
        server(tmp_path / "state") as (url, redis),
        running_registry(url, namespace, tmp_path / "registry") as running,
    ):
        await push(running, onnx_file())
        await redis.send("CLIENT", "PAUSE", 1000, "WRITE")
        delete = running.stub.DeleteModel(pb.DeleteModelRequest(name="models/digits", force=True))
        async with asyncio.timeout(10):
            while not await _change_is_held_back(redis):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        delete.cancel()
        await eventually(lambda: not running.stored_files())


async def _change_is_held_back(redis: Redis) -> bool:
    """Whether the script that changes the state waits; those who follow it wait in other commands."""
    clients = await redis.client_list()
    return any("b" in each["flags"] and each["cmd"].startswith("eval") for each in clients)
