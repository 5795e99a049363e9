"""Watching a real registry's changes, and what the change log holds."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import errors, status
from headrace.local import embedded_redis
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace_registry.domain.history import change_ring, watches
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    onnx_file,
    push,
    running_registry,
    take_changes,
)

ALIAS = "models/digits/aliases/champion"
ROUTE = "models/digits/route"
KINDS = [
    "version.push",
    "version.push",
    "alias.update",
    "route.update",
    "model.update",
    "alias.delete",
    "version.delete",
    "model.create",
    "model.delete",
]


async def _make_one_of_each_kind(running: RunningRegistry) -> None:
    stub = running.stub
    for bias in (1, 2):
        await push(running, onnx_file(bias=bias))
    alias = {"name": ALIAS, "version": 1}
    await stub.UpdateAlias(pb.UpdateAliasRequest(alias=alias, allow_missing=True))
    await stub.UpdateRoute(pb.UpdateRouteRequest(route={"name": ROUTE, "stable_version": 2}))
    await stub.UpdateModel(pb.UpdateModelRequest(model={"name": "models/digits"}))
    await stub.DeleteAlias(pb.DeleteAliasRequest(name=ALIAS))
    await stub.DeleteVersion(pb.DeleteVersionRequest(name="models/digits/versions/1"))
    actor = (("x-headrace-actor", "ada"),)
    model = {"name": "models/other"}
    await stub.CreateModel(pb.CreateModelRequest(model=model), metadata=actor)
    await stub.DeleteModel(pb.DeleteModelRequest(name="models/other"))


async def test_a_watch_tells_every_change_in_order(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A watch from the start and one from the middle see the same changes, each after the one before."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        live = running.stub.WatchChanges(pb.WatchChangesRequest())
        first = asyncio.ensure_future(take_changes(live, len(KINDS)))
        await _make_one_of_each_kind(running)
        seen = await first
        later = running.stub.WatchChanges(pb.WatchChangesRequest(start_revision=4))
        resumed = await take_changes(later, len(KINDS) - 4)
        live.cancel()
        later.cancel()
    assert KINDS == [change.kind for change in seen]
    assert list(range(1, len(KINDS) + 1)) == [change.revision for change in seen]
    assert seen[4:] == resumed
    assert ["ada", "anonymous"] == [change.actor for change in seen[-2:]]
    assert [None if kind.endswith("delete") else kind.split(".")[0] for kind in KINDS] == [
        change.WhichOneof("after") for change in seen
    ]
    assert (2, 1) == (seen[3].route.stable_version, seen[3].route.previous_version)


async def test_a_watch_of_one_model_leaves_the_others_out(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Only the changes of the model asked for come, with their own revisions."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _make_one_of_each_kind(running)
        call = running.stub.WatchChanges(pb.WatchChangesRequest(model="models/other"))
        seen = await take_changes(call, 2)
        call.cancel()
    assert [(8, "model.create"), (9, "model.delete")] == [(c.revision, c.kind) for c in seen]


async def test_a_watch_ends_when_the_registry_stops(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Stopping ends a quiet watch at once, with an error that says to watch again."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        call = running.stub.WatchChanges(pb.WatchChangesRequest())
        await _create(running)
        await take_changes(call, 1)
        running.stopping.set()
        error = await error_of(asyncio.wait_for(call.read(), 5))
    assert isinstance(error, errors.Unavailable)
    assert "SERVICE_STOPPING" == error.reason


async def test_a_watcher_that_fell_behind_is_told(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Changes that are no longer kept are OUT_OF_RANGE; from where they are kept, a watch goes on."""
    async with open_redis(redis_url) as redis:
        async with running_registry(redis_url, namespace, tmp_path) as running:
            await _make_one_of_each_kind(running)
            await redis.xtrim(Keys(namespace).changes, maxlen=3, approximate=False)
            in_memory = running.stub.WatchChanges(pb.WatchChangesRequest(start_revision=5))
            assert 6 == (await in_memory.read()).revision
            in_memory.cancel()
        async with running_registry(redis_url, namespace, tmp_path) as running:
            behind = await error_of(
                running.stub.WatchChanges(pb.WatchChangesRequest(start_revision=5)).read()
            )
            oldest = running.stub.WatchChanges(pb.WatchChangesRequest())
            kept = await take_changes(oldest, 3)
            last = running.stub.WatchChanges(pb.WatchChangesRequest(start_revision=6))
            assert kept == await take_changes(last, 3)
            oldest.cancel()
            last.cancel()
    assert "CHANGES_NOT_KEPT" == behind.reason
    assert [7, 8, 9] == [change.revision for change in kept]


@pytest.mark.parametrize("in_memory", [3, 4096])
async def test_watches_go_on_from_memory_and_from_the_server(
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_memory: int,
) -> None:
    """From whichever change a watch starts, it tells the same changes, also those that come meanwhile."""
    monkeypatch.setattr(change_ring, "MAX_CHANGES", in_memory)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        for count in range(8):
            await _create(running, f"m{count}")
        calls = [_watch(running, start_revision=start) for start in range(1, 9)]
        begun = [await take_changes(call, 1) for call in calls[:-1]] + [[]]
        for count in range(8, 12):
            await _create(running, f"m{count}")
        told = [
            [*first, *await take_changes(call, 12 - start - len(first))]
            for start, (call, first) in enumerate(zip(calls, begun, strict=True), start=1)
        ]
        for call in calls:
            call.cancel()
    assert list(range(2, 13)) == [change.revision for change in told[0]]
    assert [told[0][start:] for start in range(8)] == told


async def test_a_watch_that_is_not_read_misses_nothing(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its connection does not take stays where it is, long after it has left memory."""
    monkeypatch.setattr(change_ring, "MAX_CHANGES", 16)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _create(running, "m")
        slow = _watch(running, start_revision=1)
        edit = {"name": "models/m", "description": "x" * 4000}
        for _ in range(200):
            await running.stub.UpdateModel(pb.UpdateModelRequest(model=edit))
        seen = await take_changes(slow, 200)
        slow.cancel()
    assert list(range(2, 202)) == [change.revision for change in seen]


async def test_a_watch_compares_epoch_and_hash(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a list or a change told is taken as the start; another history is refused wherever it parts."""
    monkeypatch.setattr(change_ring, "MAX_CHANGES", 2)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        for count in range(5):
            await _create(running, f"m{count}")
        listed = await running.stub.ListModels(pb.ListModelsRequest())
        seen = await take_changes(_watch(running), 5)
        points = [(each.revision, each.epoch, each.hash) for each in seen]
        assert (listed.revision, listed.epoch, listed.hash) == points[-1]
        for revision, epoch, newest in points:
            asked = {"start_revision": revision, "start_epoch": epoch, "start_hash": newest}
            other_hash = _watch(running, **asked | {"start_hash": "0" * 64})
            assert "HISTORY_DIFFERS" == (await error_of(other_hash.read())).reason
            other_epoch = _watch(running, **asked | {"start_epoch": "other"})
            assert "HISTORY_DIFFERS" == (await error_of(other_epoch.read())).reason
            joined = _watch(running, **asked)
            assert seen[revision:] == await take_changes(joined, 5 - revision)
            joined.cancel()


async def test_a_filtered_watch_learns_how_far_it_is(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told where it stands at first, after its own changes, and when others were left out."""
    monkeypatch.setattr(watches, "MARK_SECONDS", 0.05)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await _create(running, "m1")
        call = _watch(running, start_revision=1, model="models/m1", progress=True)
        at_first = await call.read()
        await _create(running, "m2")
        left_out = await call.read()
        await running.stub.DeleteModel(pb.DeleteModelRequest(name="models/m1"))
        own = await call.read()
        listed = await running.stub.ListModels(pb.ListModelsRequest())
        call.cancel()
    assert [(1, ""), (2, ""), (3, "model.delete")] == [
        (each.revision, each.kind) for each in (at_first, left_out, own)
    ]
    assert {listed.epoch} == {each.epoch for each in (at_first, left_out, own)}
    assert (listed.revision, listed.hash) == (own.revision, own.hash)
    assert 3 == len({each.hash for each in (at_first, left_out, own)})


async def test_watches_over_the_limit_are_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The error names the setting; a watch that ends makes room."""
    async with running_registry(redis_url, namespace, tmp_path, max_watches=2) as running:
        await _create(running, "m1")
        calls = [_watch(running) for _ in range(2)]
        for call in calls:
            await call.read()
        refused = await error_of(_watch(running).read())
        calls[0].cancel()
        async with asyncio.timeout(10):
            while (await error_of_or_none(call := _watch(running))) is not None:
                call.cancel()
        call.cancel()
    assert isinstance(refused, errors.ResourceExhausted)
    assert "TOO_MANY_WATCHES" == refused.reason
    assert "max_watches" in refused.message


async def error_of_or_none(call: Any) -> errors.HeadraceError | None:
    """The error with which a watch begins, if it does not begin with a change."""
    try:
        await call.read()
    except grpc.RpcError as error:
        return status.error_from_rpc(error)
    return None


async def test_a_watcher_that_vanished_gives_its_place_back(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is there, and nobody answers on it: a broken network, a machine without power."""
    monkeypatch.setattr("headrace_registry.app.ports.PING_SECONDS", 0.5)
    async with running_registry(redis_url, namespace, tmp_path, max_watches=1) as running:
        await _create(running)
        async with (
            _cable(running.address) as (address, unplugged),
            grpc.aio.insecure_channel(address) as channel,
        ):
            stub: Any = registry_service_pb2_grpc.RegistryServiceStub(channel)
            vanished = stub.WatchChanges(pb.WatchChangesRequest())
            await vanished.read()
            unplugged.set()
            assert "TOO_MANY_WATCHES" == (await error_of(_watch(running).read())).reason
            async with asyncio.timeout(10):
                while await error_of_or_none(call := _watch(running)) is not None:
                    call.cancel()
            call.cancel()
            vanished.cancel()


@asynccontextmanager
async def _cable(target: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """An address that leads to another one, until the event is set: then nothing passes any more."""
    unplugged = asyncio.Event()
    host, _, port = target.rpartition(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if unplugged.is_set():
                await asyncio.Event().wait()
            writer.write(data)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        jobs.append(asyncio.ensure_future(carry(reader, back)))
        jobs.append(asyncio.ensure_future(carry(there, writer)))
        writers.extend((writer, back))

    jobs: list[asyncio.Future[None]] = []
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", unplugged
    finally:
        server.close()
        for job in jobs:
            job.cancel()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def test_many_watches_take_no_connections_to_the_server(
    namespace: str, tmp_path: Path
) -> None:
    """Two hundred of them are told a change, and the server has a handful of clients."""
    async with (
        embedded_redis.open_embedded_server(tmp_path / "state") as url,
        open_redis(url) as redis,
        running_registry(url, namespace, tmp_path / "registry") as running,
    ):
        await _create(running, "m1")
        calls = [_watch(running) for _ in range(200)]
        await asyncio.gather(*(call.read() for call in calls))
        await _create(running, "m2")
        seen = await asyncio.gather(*(call.read() for call in calls))
        clients = len(await redis.client_list())
        for call in calls:
            call.cancel()
    assert {2} == {change.revision for change in seen}
    assert clients < 20


def _watch(running: RunningRegistry, **asked: Any) -> Any:
    return running.stub.WatchChanges(pb.WatchChangesRequest(**asked))


async def test_no_entry_of_the_log_can_be_altered_in_silence(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Every entry carries the hash of the one before, the newest hash is kept beside, before is told."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        async with running_registry(redis_url, namespace, tmp_path) as running:
            await _make_one_of_each_kind(running)
        entries: Any = await redis.xrange(keys.changes)
        newest = await redis.get(keys.change_hash)
    assert [b"%d-0" % revision for revision in range(1, len(KINDS) + 1)] == [e[0] for e in entries]
    texts = [fields[b"change"] for _, fields in entries]
    hashes = [hashlib.sha256(text).hexdigest() for text in texts]
    changes = [json.loads(text) for text in texts]
    assert ["", *hashes[:-1]] == [change["previous_hash"] for change in changes]
    assert hashes[-1].encode() == newest
    assert 1 == changes[3]["models_before"]["digits"]["route"]["stable"]
    assert 1 == changes[6]["versions_before"]["digits/1"]["number"]


async def _create(running: RunningRegistry, name: str = "digits") -> None:
    await running.stub.CreateModel(pb.CreateModelRequest(model={"name": f"models/{name}"}))
