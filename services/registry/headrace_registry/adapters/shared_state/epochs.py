"""The epochs of the shared state in Redis: what it says of its past, and beginning another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import uuid4

from headrace.state.changes import EPOCH_BEGINS, Change, encode_change
from headrace.state.connection import Redis, redis_errors
from headrace.state.history import Point, entry_hash
from headrace.state.keys import Keys
from headrace.state.reader import CHANGE_FIELD
from headrace.state.record_collections import COLLECTIONS
from headrace.state.schema import SCHEMA, is_newer, parse_schema
from headrace_registry.adapters.shared_state.counting import COUNTING
from headrace_registry.domain.history.history_guard import Traces

_PAGE = 1000

# The stream first: it alone can fail by what is stored, and a script is not rolled back.
_BEGIN = (
    COUNTING
    + """
if redis.call('GET', KEYS[2]) ~= ARGV[1] or (redis.call('GET', KEYS[1]) or '0') ~= ARGV[2]
    or (redis.call('GET', KEYS[7]) or '') ~= ARGV[3]
    or tonumber(redis.call('GET', KEYS[10]) or '1') > tonumber(ARGV[9]) then return 0 end
redis.call('XADD', KEYS[6], ARGV[5] .. '-0', ARGV[6], ARGV[7])
redis.call('SET', KEYS[7], ARGV[8])
redis.call('SET', KEYS[1], ARGV[5])
redis.call('SET', KEYS[2], ARGV[4])
redis.call('SET', KEYS[9], ARGV[5])
redis.call('SET', KEYS[10], ARGV[9])
local names, hashes = {}, {}
for at = 11, #KEYS do
  hashes[at - 10] = KEYS[at]
  names[at - 10] = ARGV[at - 1]
end
for at = 10 + #names, #ARGV, 2 do
  if tonumber(redis.call('HGET', KEYS[5], ARGV[at]) or '-1') < tonumber(ARGV[at + 1]) then
    redis.call('HSET', KEYS[5], ARGV[at], ARGV[at + 1])
  end
end
local _, _, _, _, further = counted(redis.call('GET', KEYS[8]))
redis.call('SET', KEYS[8], count(ARGV[5], KEYS[3], KEYS[4], KEYS[5], names, hashes, further))
return 1
"""
)


class RedisEpochs:
    """The epochs of one namespace."""

    def __init__(self, redis: Redis, keys: Keys, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._keys = keys
        self._clock = clock

    async def read_traces(self, revision: int) -> Traces:
        """Return the state's account of its past and of this revision's change. Raises Unavailable."""
        entry_id = f"{revision}-0"
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.xrange(self._keys.changes, min=entry_id, max=entry_id)
        pipeline.xrevrange(self._keys.changes, count=1)
        pipeline.get(self._keys.schema)
        with redis_errors(self._redis):
            entries, newest, schema = await pipeline.execute()
        return Traces(
            entry_hash(entries[0][1][CHANGE_FIELD]) if entries else None,
            int(newest[0][0].split(b"-")[0]) if newest else 0,
            await self._numbers(),
            writable=not is_newer(parse_schema(schema)),
        )

    async def _numbers(self) -> Mapping[str, int]:
        """The last numbers of all names, read in pages: there may be a hundred thousand."""
        numbers: dict[str, int] = {}
        cursor: int | None = None
        while cursor != 0:
            with redis_errors(self._redis):
                found: Any = await self._redis.hscan(self._keys.numbers, cursor or 0, count=_PAGE)
            cursor, page = found
            numbers |= {name.decode(): int(number) for name, number in page.items()}
        return numbers

    async def begin(self, found: Point, revision: int, numbers: Mapping[str, int]) -> Point | None:
        """Begin an epoch on the state that was found, where it starts; None if that was left meanwhile.

        No number up to those given is given out in it. Raises Unavailable.
        """
        change = Change(revision, EPOCH_BEGINS, "", "registry", self._clock(), found.hash)
        entry = encode_change(change)
        begun = Point(uuid4().hex, revision, entry_hash(entry))
        arguments: list[bytes | str | int] = [found.epoch, found.revision, found.hash, begun.epoch]
        arguments += [revision, CHANGE_FIELD, entry, begun.hash, SCHEMA]
        further = [each.name for each in COLLECTIONS.further]
        arguments += further
        arguments += [part for pair in numbers.items() for part in pair]
        keys = self._keys
        names = [keys.revision, keys.epoch, keys.models, keys.versions, keys.numbers, keys.changes]
        names += [keys.change_hash, keys.counts, keys.epoch_start, keys.schema]
        names += map(keys.collection, further)
        with redis_errors(self._redis):
            done = await cast(Any, self._redis.eval(_BEGIN, len(names), *names, *arguments))
        return begun if done else None
