"""Watching a real registry's changes, and what the change log holds."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
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
    async with (
        open_redis(redis_url) as redis,
        running_registry(redis_url, namespace, tmp_path) as running,
    ):
        await _make_one_of_each_kind(running)
        await redis.xtrim(Keys(namespace).changes, maxlen=3, approximate=False)
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


async def _create(running: RunningRegistry) -> None:
    await running.stub.CreateModel(pb.CreateModelRequest(model={"name": "models/digits"}))
