"""What replicas tell of themselves: whole, and only what changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from redis import exceptions as redis_exceptions

from headrace.state import presence
from headrace.state.codec import encode
from headrace.state.connection import Redis, open_redis
from headrace.state.keys import Keys
from headrace.state.records import LoadState, ReplicaRecord, ReplicaVersion
from headrace_inference.adapters.presence import PresenceWriter, keep_present
from tests.rpc.held_models import Models

RECORD = ReplicaRecord("r1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", 7, 0.0, 3)


async def _received_bytes(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_net_input_bytes"])


async def test_only_what_changed_is_written(redis_url: str, namespace: str) -> None:
    """A replica with 10,000 models writes a few hundred bytes a second while nothing changes."""
    keys, models = Keys(namespace), Models(*(f"m{index}" for index in range(10_000)))
    async with open_redis(redis_url) as redis:
        writer = PresenceWriter(redis, keys, models, lambda: RECORD)
        await writer.announce()
        first = await presence.read_replicas(redis, keys)
        before = await _received_bytes(redis)
        for _ in range(10):
            await writer.announce()
        models.move("m5", LoadState.UNAVAILABLE)
        models.move("m6", None)
        models.move("new", LoadState.LOADING)
        for _ in range(10):
            await writer.announce()
        written = await _received_bytes(redis) - before
        second = await presence.read_replicas(redis, keys)
    assert 10_000 == len(first[0].versions)
    assert [replace(RECORD, versions=models.versions)] == second
    assert written < 20 * 4_000  # the script itself is most of it


@pytest.mark.parametrize("lost", ["versions", "all"])
async def test_what_the_server_lost_is_written_anew(
    redis_url: str, namespace: str, lost: str
) -> None:
    """After an outage longer than a presence lives, or an eviction, all of it is there again at once."""
    keys, models = Keys(namespace), Models("a", "b")
    async with open_redis(redis_url) as redis:
        writer = PresenceWriter(redis, keys, models, lambda: RECORD)
        await writer.announce()
        await redis.delete(keys.replica_versions("r1"))
        if lost == "all":
            await redis.delete(keys.replica("r1"), keys.replicas)
        models.move("a", LoadState.UNLOADING)
        await writer.announce()
        found = await presence.read_replicas(redis, keys)
    assert [replace(RECORD, versions=models.versions)] == found


async def test_a_write_whose_answer_is_lost_is_no_reason_to_forget_a_change(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was done or not, what changed is there after the next one."""
    keys, models, changed = Keys(namespace), Models("a", "b"), asyncio.Event()
    async with open_redis(redis_url) as redis:
        writer = PresenceWriter(redis, keys, models, lambda: RECORD)
        await writer.announce()
        models.move("a", LoadState.UNLOADING)
        with monkeypatch.context() as patched:
            answer = redis.eval

            async def lose(*arguments: object) -> None:
                await answer(*arguments)  # type: ignore[arg-type]
                changed.set()
                raise redis_exceptions.ConnectionError("lost")

            patched.setattr(redis, "eval", lose)
            keeping = asyncio.create_task(keep_present(writer, asyncio.Event()))
            await changed.wait()
        models.move("b", None)
        await writer.announce()
        found = await presence.read_replicas(redis, keys)
        keeping.cancel()
        await asyncio.wait([keeping])
        gone = await presence.read_replicas(redis, keys)
    assert [replace(RECORD, versions=models.versions)] == found
    assert [] == gone


async def test_replicas_are_read_with_one_model_alone(redis_url: str, namespace: str) -> None:
    """Whoever asks about a model reads nothing of the others."""
    keys = Keys(namespace)
    one, two = (ReplicaVersion(name, 1, LoadState.READY) for name in "ab")
    async with open_redis(redis_url) as redis:
        await presence.announce(redis, keys, replace(RECORD, versions=(one, two)))
        found = await presence.read_replicas(redis, keys, "b")
        nothing = await presence.read_replicas(redis, keys, "c")
    assert [replace(RECORD, versions=(two,))] == found
    assert [RECORD] == nothing


async def test_the_presence_of_an_older_replica_is_read(redis_url: str, namespace: str) -> None:
    """It has its versions in the record itself."""
    keys = Keys(namespace)
    record = replace(RECORD, versions=(ReplicaVersion("a", 1, LoadState.READY),))
    async with open_redis(redis_url) as redis:
        await presence.announce(redis, keys, RECORD)
        await redis.set(keys.replica("r1"), encode(record))
        found = await presence.read_replicas(redis, keys)
    assert [record] == found
