"""Following the shared state over a real server: snapshots, changes, losses."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from headrace.service.serving import open_background
from headrace.state.changes import Change, encode_change
from headrace.state.codec import encode
from headrace.state.connection import Redis, open_redis
from headrace.state.differences import ModelDifference
from headrace.state.follower import StateFollower
from headrace.state.history import Point
from headrace.state.keys import Keys
from headrace.state.record_collections import MODELS
from headrace.state.records import ModelRecord
from tests.rpc.registry_fixtures import eventually


async def write(redis: Redis, keys: Keys, revision: int, *names: str) -> None:
    """Make a change as the registry does: these models, at this revision."""
    models = {name: ModelRecord(name, 0.0, revision=revision) for name in names}
    before = await newest_hash(redis, keys)
    made = {name: ModelDifference(name, 0.0, revision=revision) for name in names}
    change = Change(revision, "model.create", "models/m", "test", 0.0, before, {MODELS.name: made})
    entry = encode_change(change)
    async with redis.pipeline(transaction=True) as pipe:
        for name, record in models.items():
            pipe.hset(keys.models, name, encode(record).decode())
        pipe.set(keys.revision, revision)
        pipe.xadd(keys.changes, {"change": entry}, id=f"{revision}-0")
        pipe.set(keys.change_hash, hashlib.sha256(entry).hexdigest())
        await pipe.execute()


async def newest_hash(redis: Redis, keys: Keys) -> str:
    """The hash of the newest change."""
    found: Any = await redis.get(keys.change_hash)
    return (found or b"").decode()


async def begin(redis: Redis, keys: Keys, epoch: str) -> None:
    """Begin a state."""
    await redis.set(keys.epoch, epoch)


async def test_a_follower_reads_a_snapshot_then_the_changes(redis_url: str, namespace: str) -> None:
    """What was there before and what comes after are both seen, in order."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis, open_background() as jobs:
        await begin(redis, keys, "one")
        await write(redis, keys, 1, "a")
        follower = StateFollower(redis, keys)
        jobs.run(follower.run())
        async with asyncio.timeout(10):
            await follower.wait_for_revision(1)
            await write(redis, keys, 2, "b")
            await follower.wait_for_revision(2)

        assert sorted(follower.catalog.models) == ["a", "b"]


async def test_a_follower_that_fell_behind_starts_again(redis_url: str, namespace: str) -> None:
    """When the changes it needs are trimmed, a snapshot takes their place: only what is new differs."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        await begin(redis, keys, "one")
        await write(redis, keys, 1, "a")
        follower = StateFollower(redis, keys)
        await follower.refresh()
        known = follower.catalog
        for revision in range(2, 6):
            await write(redis, keys, revision, f"m{revision}")
        await redis.xtrim(keys.changes, maxlen=1, approximate=False)
        async with open_background() as jobs, asyncio.timeout(10):
            jobs.run(follower.run())
            await follower.wait_for_revision(5)

        assert sorted(follower.catalog.models) == ["a", "m2", "m3", "m4", "m5"]
        assert follower.catalog.models_differing(known) == {"m2", "m3", "m4", "m5"}


async def test_an_emptied_state_is_not_believed(redis_url: str, namespace: str) -> None:
    """A state without models where one with models was leaves what is known, until it has a model."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        await begin(redis, keys, "one")
        await write(redis, keys, 1, "a")
        follower = StateFollower(redis, keys)
        await follower.refresh()
        await redis.delete(keys.models, keys.revision, keys.changes, keys.change_hash)
        await begin(redis, keys, "two")
        await follower.refresh()

        assert sorted(follower.catalog.models) == ["a"]

        await write(redis, keys, 1, "b")
        await follower.refresh()

        assert sorted(follower.catalog.models) == ["b"]


async def test_a_follower_waits_for_a_state_to_begin(redis_url: str, namespace: str) -> None:
    """Before any registry began a state there is nothing to know, and `synced` says so."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis, open_background() as jobs:
        follower = StateFollower(redis, keys)
        jobs.run(follower.run())
        updates = follower.updates()
        waiting = asyncio.ensure_future(anext(updates))
        synced_before = follower.synced
        await begin(redis, keys, "one")
        async with asyncio.timeout(10):
            await waiting

        assert (synced_before, follower.synced) == (False, True)


PARTS = ("epoch", "models", "revision", "changes", "change_hash")


async def back_up(redis: Redis, keys: Keys) -> Keys:
    """A copy of the state, under a namespace of its own."""
    copy = Keys(f"{keys.namespace}-copy")
    for part in PARTS:
        await redis.copy(getattr(keys, part), getattr(copy, part))
    return copy


async def restore(redis: Redis, keys: Keys, copy: Keys) -> None:
    """Put the copy in the state's place, in one step for those who look."""
    async with redis.pipeline(transaction=True) as pipe:
        for part in PARTS:
            pipe.rename(getattr(copy, part), getattr(keys, part))
        await pipe.execute()


@pytest.mark.parametrize("written", [1, 2, 3])
@pytest.mark.parametrize("away", [False, True])
async def test_a_state_that_went_back_and_was_written_on_is_read_anew(
    redis_url: str, namespace: str, caplog: pytest.LogCaptureFixture, written: int, away: bool
) -> None:
    """The epoch is the same and the revision not lower: only the hashes tell one history from the other."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis, open_background() as jobs:
        await begin(redis, keys, "one")
        await write(redis, keys, 1, "old1")
        copy = await back_up(redis, keys)
        for revision in (2, 3):
            await write(redis, keys, revision, f"old{revision}")
        follower = StateFollower(redis, keys)
        if away:
            await follower.refresh()
        else:
            jobs.run(follower.run())
            await follower.wait_for_revision(3)
        for revision in range(2, 2 + written):
            await write(redis, copy, revision, f"new{revision}")
        await restore(redis, keys, copy)
        if away:
            jobs.run(follower.run())
        expected = ["old1", *(f"new{revision}" for revision in range(2, 2 + written))]
        await eventually(lambda: sorted(expected) == sorted(follower.catalog.models))
        assert Point("one", 1 + written, await newest_hash(redis, keys)) == follower.point
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "acknowledged changes are lost" in line.message
