"""The presence of replicas: each keeps one record alive; whoever is gone, is gone when it ends.

What a replica has of each model lies beside its record, model by model, so that a replica with thousands
of models writes what changed, and not all of it every second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from headrace.state.codec import decode, encode
from headrace.state.connection import Redis, redis_errors
from headrace.state.keys import Keys
from headrace.state.records import ReplicaRecord, ReplicaVersion

TTL_SECONDS = 6
"""Presence ends this long after the last word of a replica, which speaks every second."""

ByModel = Mapping[str, Sequence[ReplicaVersion]]
"""What a replica has, by model; nothing of a model that it has nothing of any more."""

_MARK = ""
"""The field beside the models' that says what was written last; no model has such a name."""

# By the server's clock, for those of the replicas differ. ARGV: the record, its id, the time to live, the
# mark that must be there (or '': write all anew), the new one, then models with their versions.
_ANNOUNCE = """
if ARGV[4] == '' then
  redis.call('DEL', KEYS[3])
elseif redis.call('HGET', KEYS[3], '') ~= ARGV[4] then
  return 0
end
local now = tonumber(redis.call('TIME')[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
if ARGV[5] ~= ARGV[4] then redis.call('HSET', KEYS[3], '', ARGV[5]) end
for place = 6, #ARGV, 2 do
  if ARGV[place + 1] == '' then
    redis.call('HDEL', KEYS[3], ARGV[place])
  else
    redis.call('HSET', KEYS[3], ARGV[place], ARGV[place + 1])
  end
end
redis.call('EXPIRE', KEYS[3], ARGV[3])
return 1
"""
_WITHDRAW = """
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[1])
"""


async def announce(redis: Redis, keys: Keys, record: ReplicaRecord, mark: str = "all") -> None:
    """Say that a replica is there, with all that it has, for TTL_SECONDS. Raises Unavailable."""
    await _announce(redis, keys, record, by_model(record.versions), "", mark)


async def announce_changes(
    redis: Redis, keys: Keys, record: ReplicaRecord, changed: ByModel, since: str, mark: str
) -> bool:
    """Say that a replica is still there, and what it has of models where that is not as at a mark.

    What is there from now on has the new `mark`, which is the same where nothing changed. False: what is
    there does not have the mark `since`; nothing was said. Raises Unavailable.
    """
    return await _announce(redis, keys, record, changed, since, mark)


def by_model(versions: Iterable[ReplicaVersion]) -> dict[str, list[ReplicaVersion]]:
    """Versions by their models."""
    found: dict[str, list[ReplicaVersion]] = {}
    for version in versions:
        found.setdefault(version.model, []).append(version)
    return found


async def withdraw(redis: Redis, keys: Keys, replica_id: str) -> None:
    """Say that a replica is gone. Raises Unavailable."""
    await _eval(redis, _WITHDRAW, _keys(keys, replica_id), replica_id)


async def read_replicas(redis: Redis, keys: Keys, model: str = "") -> list[ReplicaRecord]:
    """The replicas that are there now, by id, with what they have of a model, or of all.

    Raises Unavailable.
    """
    with redis_errors(redis):
        ids = cast(list[bytes], await redis.zrange(keys.replicas, 0, -1))
        names = sorted(replica_id.decode() for replica_id in ids)
        pipeline = redis.pipeline(transaction=False)
        for name in names:  # first the record: what it says to have applied, the versions show
            pipeline.get(keys.replica(name))
            if model:
                pipeline.hmget(keys.replica_versions(name), [model])
            else:
                pipeline.hgetall(keys.replica_versions(name))
        values: list[Any] = await pipeline.execute() if names else []
    return [
        _replica(record, versions)
        for record, versions in zip(values[::2], values[1::2], strict=True)
        if record is not None
    ]


def _replica(record: bytes, versions: list[bytes | None] | dict[bytes, bytes]) -> ReplicaRecord:
    texts = (
        versions
        if isinstance(versions, list)
        else [text for field, text in sorted(versions.items()) if field.decode() != _MARK]
    )
    found = [one for text in texts if text for one in decode(tuple[ReplicaVersion, ...], text)]
    replica = decode(ReplicaRecord, record)
    return replace(replica, versions=(*replica.versions, *found))


async def _announce(
    redis: Redis, keys: Keys, record: ReplicaRecord, changed: ByModel, since: str, mark: str
) -> bool:
    head = encode(replace(record, versions=()))
    arguments: list[bytes | str | float] = [head, record.id, TTL_SECONDS, since, mark]
    for model, versions in changed.items():
        arguments += (model, encode(versions) if versions else b"")
    return bool(await _eval(redis, _ANNOUNCE, _keys(keys, record.id), *arguments))


def _keys(keys: Keys, replica_id: str) -> list[str]:
    return [keys.replica(replica_id), keys.replicas, keys.replica_versions(replica_id)]


async def _eval(
    redis: Redis, script: str, keys: list[str], *arguments: bytes | str | float
) -> object:
    with redis_errors(redis):
        return await cast(Any, redis.eval(script, len(keys), *keys, *arguments))
