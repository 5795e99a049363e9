"""The change log in Redis: every change is one script, checked against the revision it was decided on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from msgspec import Raw
from redis.exceptions import ResponseError

from headrace import errors
from headrace.state.changes import Change, decode_change, encode_change
from headrace.state.codec import decode, encode, encode_sparse
from headrace.state.connection import RETRY_AFTER_SECONDS, Redis, redis_errors, refusal
from headrace.state.history import Point, entry_hash
from headrace.state.keys import Keys
from headrace.state.reader import CHANGE_FIELD, entry_of, read_point
from headrace.state.record_collections import COLLECTIONS, MODELS, VERSIONS
from headrace.state.records import ModelRecord
from headrace.state.schema import SCHEMA, check_writable, parse_schema
from headrace.state.wholeness import not_whole
from headrace_registry.adapters.shared_state.counting import COUNTING
from headrace_registry.adapters.shared_state.eviction import eviction_policy
from headrace_registry.domain.catalog_store import (
    REVISION_MOVED,
    IdempotencyKey,
    IdempotentResult,
    LogFacts,
)
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.history.log_budget import LogBudget
from headrace_registry.domain.history.watches import Older

logger = logging.getLogger(__name__)

REQUEST_TTL_SECONDS = 24 * 3600
"""A repeated create within a day answers as the first did: the contract says so."""
CHANGES_KEPT = 10_000
"""About so many changes can be watched from; who is further behind starts again from a snapshot."""
BYTES_KEPT = 64 << 20
"""They take about so much memory of the server at most; the usual 10,000 take 17 MB."""
_DURABLE_MILLISECONDS = 2000
"""Below the connection's time limit; an fsync every second needs up to one."""
_READ_COUNT = 128

# The stream first: it alone can fail by what is stored, and a script is not rolled back.
_COMMIT = (
    COUNTING
    + """
local revision = tonumber(redis.call('GET', KEYS[1]) or '0')
local epoch = redis.call('GET', KEYS[2])
if not epoch then return {'not started', 0} end
if revision ~= tonumber(ARGV[1]) - 1 or epoch ~= ARGV[9]
    or (redis.call('GET', KEYS[7]) or ARGV[10]) ~= ARGV[10] then return {'moved', revision} end
local schema = tonumber(redis.call('GET', KEYS[10]) or '1')
if schema > tonumber(ARGV[11]) then return {'schema newer', schema} end
if revision > 0 and redis.call('EXISTS', KEYS[7]) == 0 then return {'not whole', revision} end
local names, hashes = {}, {}
for at = 11, #KEYS do
  hashes[at - 10] = KEYS[at]
  names[at - 10] = ARGV[at + 1]
end
local at, models, versions, numbers, further = counted(redis.call('GET', KEYS[9]))
if at == revision then
  if redis.call('HLEN', KEYS[3]) ~= models or redis.call('HLEN', KEYS[4]) ~= versions
      or numbers and redis.call('HLEN', KEYS[5]) ~= numbers then return {'not whole', revision} end
  for place, name in ipairs(names) do
    local length = tonumber(string.match(further .. ':', ':' .. name .. '=(%d+):'))
    if length and redis.call('HLEN', hashes[place]) ~= length then
      return {'not whole', revision}
    end
  end
end
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[4], ARGV[1] .. '-0', ARGV[2], ARGV[3])
redis.call('SET', KEYS[7], ARGV[5])
redis.call('SET', KEYS[1], ARGV[1])
if ARGV[6] ~= '' then redis.call('SET', KEYS[8], ARGV[6], 'EX', ARGV[7]) end
if schema < tonumber(ARGV[11]) then redis.call('SET', KEYS[10], ARGV[11]) end
at = 12 + #names
for _ = 1, tonumber(ARGV[8]) do
  local key, field, value = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  if value == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, value) end
  at = at + 3
end
redis.call('SET', KEYS[9], count(ARGV[1], KEYS[3], KEYS[4], KEYS[5], names, hashes, further))
return {'made', tonumber(ARGV[1])}
"""
)
_MODELS, _VERSIONS, _NUMBERS, _FURTHER = 3, 4, 5, 11
_Write = tuple[int, str, bytes | str]
"""A field of one of these hashes, and its value."""


@dataclass(frozen=True, slots=True)
class _StoredResult:
    """A create with a request id, as it is kept."""

    fingerprint: str
    change: Raw


class RedisChangeLog:
    """The change log of one namespace. Several registries may write it: the revision says who was first."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        changes_kept: int = CHANGES_KEPT,
        bytes_kept: int = BYTES_KEPT,
    ) -> None:
        self.kept_for: Callable[[int, int], int] = lambda _, usual: usual
        """How many changes stay when the log comes to a revision, given how many usually do."""
        self._redis = redis
        self._keys = keys
        self._budget = LogBudget(changes_kept, bytes_kept)
        self._examined = False
        self.durable = Point()
        """How far this process knows the changes to be on disk."""
        self.may_evict = ""
        """The policy by which the server may drop records to make room; '' where it does not."""

    async def begin(self) -> None:
        """Begin the state if nobody has, and warn of what the server can lose. Raises Unavailable."""
        with redis_errors(self._redis):
            begun = await self._redis.set(self._keys.epoch, uuid4().hex, nx=True)
        if begun:
            logger.info("began a state", extra={"namespace": self._keys.namespace})
        if not self._examined:
            await self._warn_of_losses()
            self.may_evict = await eviction_policy(self._redis)
            self._examined = True

    async def newest(self) -> Point:
        """The point that the state is at now. Raises Unavailable, also where no state was begun."""
        return await read_point(self._redis, self._keys)

    async def read_facts(self, model: str, request_id: str) -> LogFacts:
        """Return what the catalog lacks. Raises Unavailable, FailedPrecondition (STATE_SCHEMA_NEWER)."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.mget(self._keys.revision, self._keys.schema)
        pipeline.hget(self._keys.numbers, model)
        if request_id:
            pipeline.get(self._keys.request(request_id))
        with redis_errors(self._redis):
            (revision, schema), number, *made = await pipeline.execute()
        check_writable(parse_schema(schema))
        found = made and made[0]
        return LogFacts(int(revision or 0), int(number or 0), _result(found) if found else None)

    async def commit(
        self, decision: Decision, creation: IdempotencyKey | None, point: Point
    ) -> Change:
        """Make a change of a decision at the point that it was made on, durably.

        Raises Aborted (REVISION_MOVED), FailedPrecondition (STATE_SCHEMA_NEWER), and Unavailable
        (STATE_UNAVAILABLE, STATE_NOT_DURABLE) where it may or may not have been made, or (STATE_REFUSED,
        STATE_NOT_STARTED) where it was not.
        """
        change = decision.change(point.hash)
        keys, arguments, made = self._script_input(change, creation, point, list(_writes(decision)))
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.eval(_COMMIT, len(keys), *keys, *arguments)
        answer, durable = await self._made_durable(pipeline)
        _check_made(self._redis, answer, change.revision)
        _check_durable(self._redis, durable)
        self.durable = made
        return change

    async def make_durable(self, point: Point) -> None:
        """Wait until all changes up to a point are durable, those of others too.

        Raises Unavailable (STATE_NOT_DURABLE, STATE_UNAVAILABLE, STATE_REFUSED).
        """
        if point.epoch == self.durable.epoch and point.revision <= self.durable.revision:
            return
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(self._keys.durability, point.revision)
        written, durable = await self._made_durable(pipeline)
        if isinstance(written, Exception):
            with redis_errors(self._redis):
                raise written
        _check_durable(self._redis, durable)
        self.durable = point

    async def _made_durable(self, pipeline: Any) -> tuple[Any, Any]:
        """The answers to a write, and to the question whether it and all before it are on disk.

        The server says that of the writes of the connection that asks, so both go over one.
        """
        pipeline.execute_command("WAITAOF", 1, 0, _DURABLE_MILLISECONDS)
        with redis_errors(self._redis):
            answer, durable = await pipeline.execute(raise_on_error=False)
        return answer, durable

    async def read_after(self, revision: int) -> Older:
        """The next entries that are kept after a revision, some at a time. Raises Unavailable."""
        return await self._read_entries(f"({revision}-0", "+")

    async def read_up_to(self, revision: int) -> Older:
        """The last entries that are kept up to a revision, some at a time. Raises Unavailable."""
        return await self._read_entries("-", f"{revision}-0", newest=True)

    async def _read_entries(self, first: str, last: str, *, newest: bool = False) -> Older:
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.mget(self._keys.epoch, self._keys.epoch_start)
        if newest:
            pipeline.xrevrange(self._keys.changes, last, first, count=_READ_COUNT)
        else:
            pipeline.xrange(self._keys.changes, first, last, count=_READ_COUNT)
        with redis_errors(self._redis):
            (epoch, start), found = await pipeline.execute()
        entries = [entry_of(fields) for _, fields in found]
        return Older(_text(epoch or b""), int(start or 0), entries[::-1] if newest else entries)

    def _script_input(
        self,
        change: Change,
        creation: IdempotencyKey | None,
        point: Point,
        writes: Sequence[_Write],
    ) -> tuple[list[str], list[bytes | str | int], Point]:
        """The script's keys and arguments, and the point after the change."""
        keys, entry = self._keys, encode_change(change)
        after = Point(point.epoch, change.revision, entry_hash(entry))
        made = encode(_StoredResult(creation.fingerprint, Raw(entry))) if creation else b""
        further = COLLECTIONS.further
        names = [keys.revision, keys.epoch, keys.models, keys.versions, keys.numbers, keys.changes]
        # A key for the request even where there is none: the script's other keys keep their places.
        names += [keys.change_hash, keys.request(creation.request_id if creation else "")]
        names += [keys.counts, keys.schema, *(keys.collection(each.name) for each in further)]
        arguments: list[bytes | str | int] = [change.revision, CHANGE_FIELD, entry]
        kept = self.kept_for(change.revision, self._budget.kept_with(len(entry)))
        arguments += [kept, after.hash, made]
        arguments += [REQUEST_TTL_SECONDS, len(writes), point.epoch, point.hash, SCHEMA]
        arguments += [each.name for each in further]
        return names, arguments + [part for write in writes for part in write], after

    async def _warn_of_losses(self) -> None:
        loss = _possible_loss(await self._persistence())
        if loss:
            logger.warning("acknowledged changes can be lost: %s", loss)

    async def _persistence(self) -> Mapping[str, str] | None:
        """The server's settings of its append-only file, or None where it does not tell."""
        with redis_errors(self._redis):
            try:
                found: Any = await self._redis.config_get("append*")
                await self._redis.send("WAITAOF", 0, 0, 1)
            except ResponseError as error:
                return {"waitaof": "no"} if "waitaof" in str(error).lower() else None
        return {_text(name): _text(value) for name, value in found.items()}


def _writes(decision: Decision) -> Iterator[_Write]:
    """The hash fields that are set or, by an empty value, deleted; numbers outlive their models."""
    places = {MODELS.name: _MODELS, VERSIONS.name: _VERSIONS}
    places |= {each.name: place for place, each in enumerate(COLLECTIONS.further, _FURTHER)}
    for name, records in decision.records.items():
        for key, record in records.items():
            yield places[name], key, b"" if record is None else encode_sparse(record)
            if isinstance(record, ModelRecord):
                yield _NUMBERS, key, str(record.last_number)


def _result(stored: bytes) -> IdempotentResult:
    found = decode(_StoredResult, stored)
    return IdempotentResult(found.fingerprint, decode_change(bytes(found.change)))


def _check_made(redis: Redis, answer: Any, revision: int) -> None:
    if isinstance(answer, ResponseError):
        logger.warning("the shared state refused a change: %s", answer)
        raise refusal(redis, answer)
    if isinstance(answer, Exception):
        with redis_errors(redis):
            raise answer
    outcome, present = answer[0].decode(), int(answer[1])
    if outcome == "not started":
        raise errors.Unavailable(
            "STATE_NOT_STARTED",
            "the shared state was not begun, or was emptied while the registry ran: restart the registry "
            "to begin a new one, or restore the server's data",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if outcome == "not whole":
        raise not_whole("there are fewer than after the newest change")
    if outcome == "schema newer":
        check_writable(present)
    if outcome == "moved":
        raise errors.Aborted(
            REVISION_MOVED,
            f"the state is at revision {present}, the change was decided for {revision}",
            facts={"present": str(present)},
        )


def _check_durable(redis: Redis, durable: Any) -> None:
    if isinstance(durable, ResponseError):
        return  # the server has no WAITAOF or no append-only file: the warning at start said so
    if isinstance(durable, Exception):
        with redis_errors(redis):
            raise durable
    if durable[0] < 1:
        raise errors.Unavailable(
            "STATE_NOT_DURABLE",
            f"the change was made, but its server could not say within {_DURABLE_MILLISECONDS} ms that it "
            "is on disk: retry with the same request_id or etag, which says what became of it",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def _possible_loss(persistence: Mapping[str, str] | None) -> str | None:
    """Return what the server's settings can lose of what was acknowledged, or None."""
    if persistence is None:
        return "the server does not tell how it keeps its data"
    if persistence.get("waitaof") == "no":
        return (
            "the server has no WAITAOF (Redis 7.2 and later, Valkey): a crash loses up to a second"
        )
    if persistence.get("appendonly") != "yes":
        return "the server's appendonly is off: a crash loses all since its last snapshot"
    if persistence.get("appendfsync") == "no":
        return (
            "the server's appendfsync is no: a power cut loses what the system had not written yet"
        )
    return None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
