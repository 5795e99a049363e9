"""Following the shared state over a real server: snapshots, changes, losses."""

from __future__ import annotations

import asyncio

from headrace.serving import open_background
from headrace.state.codec import encode
from headrace.state.connection import Redis, open_redis
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.records import Change, ModelRecord


async def write(redis: Redis, keys: Keys, revision: int, *names: str) -> None:
    """Make a change as the registry does: these models, at this revision."""
    models = {name: ModelRecord(name, 0.0, revision=revision) for name in names}
    change = Change(revision, "model.create", "models/m", "test", 0.0, models=models)
    async with redis.pipeline(transaction=True) as pipe:
        for name, record in models.items():
            pipe.hset(keys.models, name, encode(record).decode())
        pipe.set(keys.revision, revision)
        pipe.xadd(keys.changes, {"change": encode(change)}, id=f"{revision}-0")
        await pipe.execute()


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
    """When the changes it needs are trimmed, a snapshot takes their place."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        await begin(redis, keys, "one")
        await write(redis, keys, 1, "a")
        follower = StateFollower(redis, keys)
        await follower.refresh()
        for revision in range(2, 6):
            await write(redis, keys, revision, f"m{revision}")
        await redis.xtrim(keys.changes, maxlen=1, approximate=False)
        async with open_background() as jobs, asyncio.timeout(10):
            jobs.run(follower.run())
            await follower.wait_for_revision(5)

        assert sorted(follower.catalog.models) == ["a", "m2", "m3", "m4", "m5"]


async def test_an_emptied_state_is_not_believed(redis_url: str, namespace: str) -> None:
    """A state without models where one with models was leaves what is known, until it has a model."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        await begin(redis, keys, "one")
        await write(redis, keys, 1, "a")
        follower = StateFollower(redis, keys)
        await follower.refresh()
        await redis.delete(keys.models, keys.revision, keys.changes)
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
