"""Reading the shared state: how far it has come, and its changes in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.changes import Change, decode_change
from headrace.state.connection import Redis, redis_errors
from headrace.state.history import Entry, Point, entry_hash
from headrace.state.keys import Keys
from headrace.state.record_collections import COLLECTIONS, MODELS, VERSIONS, Collection
from headrace.state.records import ModelRecord, VersionRecord
from headrace.state.schema import SCHEMA, parse_schema
from headrace.state.wholeness import Counts, check_counts, not_whole

_POSITION = """
local oldest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)
local further = {}
for at = 10, #KEYS do further[at - 9] = redis.call('HLEN', KEYS[at]) end
return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), oldest[1] and oldest[1][1] or false,
        redis.call('GET', KEYS[4]), redis.call('HLEN', KEYS[5]), redis.call('HLEN', KEYS[6]),
        redis.call('GET', KEYS[7]), redis.call('HLEN', KEYS[8]), redis.call('GET', KEYS[9]),
        further}
"""
CHANGE_FIELD = b"change"


@dataclass(frozen=True, slots=True)
class Position:
    """The state's revision, the oldest one whose change is still there, and its schema."""

    point: Point
    oldest_change: int | None
    """None where no change is there."""
    schema: int = SCHEMA

    def covers(self, revision: int) -> bool:
        """Return whether the changes after `revision` are all still there."""
        if revision == self.point.revision:
            return True
        return self.oldest_change is not None and self.oldest_change <= revision + 1


async def read_position(redis: Redis, keys: Keys) -> Position:
    """Return how far the state has come.

    Raises Unavailable: STATE_UNAVAILABLE where the server is away, STATE_NOT_STARTED where no registry
    has begun a state there, STATE_NOT_WHOLE where records of it are gone.
    """
    named = [each.name for each in COLLECTIONS.further]
    read = [keys.epoch, keys.revision, keys.changes, keys.counts, keys.models, keys.versions]
    read += [keys.change_hash, keys.numbers, keys.schema, *map(keys.collection, named)]
    answer = await _eval(redis, _POSITION, *read)
    epoch, revision, oldest, counts, models, versions, newest_hash, numbers, schema, lengths = (
        answer
    )
    point = point_of(redis, epoch, revision, newest_hash)
    found = Counts(
        point.revision, models, versions, numbers, dict(zip(named, lengths, strict=True))
    )
    check_counts(Counts.parse(counts), found)
    oldest_change = None if oldest is None else int(oldest.split(b"-")[0])
    return Position(point, oldest_change, parse_schema(schema))


async def read_point(redis: Redis, keys: Keys) -> Point:
    """The point that the state is at. Raises Unavailable as `read_position` does."""
    with redis_errors(redis):
        epoch, revision, newest_hash = cast(
            Any, await redis.mget(keys.epoch, keys.revision, keys.change_hash)
        )
    return point_of(redis, epoch, revision, newest_hash)


async def read_changes(
    redis: Redis, keys: Keys, after_revision: int, wait_milliseconds: int
) -> list[Entry]:
    """The changes after a revision, oldest first, waiting for the first one up to the time given."""
    start = {keys.changes: f"{after_revision}-0"}
    with redis_errors(redis):
        answer: Any = await redis.xread(cast(Any, start), count=256, block=wait_milliseconds)
    if not answer:
        return []
    entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]] = (
        next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    )
    return [entry_of(fields) for _, fields in entries]


def entry_of(fields: Mapping[bytes, bytes]) -> Entry:
    """The entry that a message of the stream holds. Raises DataLoss (STATE_UNREADABLE)."""
    return Entry(_change_of(fields), entry_hash(fields[CHANGE_FIELD]))


def _change_of(fields: Mapping[bytes, bytes]) -> Change:
    return decode_change(fields[CHANGE_FIELD])


def apply(catalog: Catalog, change: Change, *, over_newer: bool = False) -> Catalog:
    """The catalog after a change, which is the next one.

    With `over_newer` its records may have been read after the change, as long as all changes up to then
    are applied too. Raises OutOfRange (CHANGE_MISSED) where a model is not there that was changed.
    """
    records = {
        name: _applied(catalog, change, COLLECTIONS[name], over_newer=over_newer)
        for name in change.records
        if name not in catalog.without
    }
    versions = {version_key(key): one for key, one in records.pop(VERSIONS.name, {}).items()}
    models = cast("Mapping[str, ModelRecord | None]", records.pop(MODELS.name, {}))
    return catalog.updated(
        change.revision, models, cast("Mapping[Any, VersionRecord | None]", versions), records
    )


def _applied(
    catalog: Catalog, change: Change, collection: Collection[Any], *, over_newer: bool
) -> Mapping[str, object]:
    """The records of a collection after a change."""
    logged = change.records[collection.name]
    if collection.differences is None:
        return logged
    present: Mapping[str, object] = (
        catalog.models if collection is MODELS else catalog.of(collection)
    )
    after = {
        key: None if one is None else collection.differences.apply(one, present.get(key))
        for key, one in logged.items()
    }
    gone = [key for key, one in after.items() if one is None and logged[key] is not None]
    if gone and not over_newer:  # else it was deleted later
        raise errors.OutOfRange(
            "CHANGE_MISSED", f"change {change.revision} is of {gone[0]}, which is not known here"
        )
    return after


def version_key(text: str) -> tuple[str, int]:
    """The model and the number of `model/number`."""
    model, _, number = text.rpartition("/")
    return model, int(number)


async def _eval(redis: Redis, script: str, *keys: str) -> Any:
    with redis_errors(redis):
        # Read-only, so that a user who may read these keys alone can run it.
        return await cast(Any, redis.eval_ro(script, len(keys), *keys))


def point_of(
    redis: Redis, epoch: bytes | None, revision: bytes | None, newest_hash: bytes | None
) -> Point:
    """The point that these values of the state's keys mean. Raises Unavailable as `read_position` does."""
    started, reached = _started(redis, epoch), int(revision or 0)
    if reached and newest_hash is None:
        raise not_whole("the hash of the newest change")
    return Point(started, reached, (newest_hash or b"").decode())


def _started(redis: Redis, epoch: bytes | None) -> str:
    if epoch is None:
        raise errors.Unavailable(
            "STATE_NOT_STARTED",
            f"no registry has started a state in this namespace of {redis.address} yet",
            facts={"address": redis.address},
            retry_after_seconds=1.0,
        )
    return epoch.decode()
