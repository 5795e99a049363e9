"""The presence of replicas: each keeps one record alive; whoever is gone, is gone when it ends."""

from __future__ import annotations

from typing import Any, cast

from headrace.state.codec import decode, encode
from headrace.state.connection import Redis, redis_errors
from headrace.state.keys import Keys
from headrace.state.records import ReplicaRecord

TTL_SECONDS = 6
"""Presence ends this long after the last word of a replica, which speaks every second."""

# By the server's clock, for those of the replicas differ.
_ANNOUNCE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
"""
_WITHDRAW = """
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
"""


async def announce(redis: Redis, keys: Keys, record: ReplicaRecord) -> None:
    """Say that a replica is there, for TTL_SECONDS. Raises Unavailable."""
    arguments = (encode(record), record.id, TTL_SECONDS)
    await _eval(redis, _ANNOUNCE, [keys.replica(record.id), keys.replicas], *arguments)


async def withdraw(redis: Redis, keys: Keys, replica_id: str) -> None:
    """Say that a replica is gone. Raises Unavailable."""
    await _eval(redis, _WITHDRAW, [keys.replica(replica_id), keys.replicas], replica_id)


async def read_replicas(redis: Redis, keys: Keys) -> list[ReplicaRecord]:
    """The replicas that are there now, by id. Raises Unavailable."""
    with redis_errors(redis):
        ids = cast(list[bytes], await redis.zrange(keys.replicas, 0, -1))
        names = sorted(replica_id.decode() for replica_id in ids)
        values: list[Any] = (
            await redis.mget([keys.replica(name) for name in names]) if names else []
        )
    return [decode(ReplicaRecord, value) for value in values if value is not None]


async def _eval(
    redis: Redis, script: str, keys: list[str], *arguments: bytes | str | float
) -> None:
    with redis_errors(redis):
        await cast(Any, redis.eval(script, len(keys), *keys, *arguments))
