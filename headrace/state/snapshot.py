"""A snapshot of the shared state, read in pages while changes go on.

No page holds up the server or this process for long, however many records there are. Records are read at
whatever revision they have by then; the changes since the first page, applied to them, lead to the state
at the last of these changes, since they hold absolute values (ADR 0016).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from headrace import errors
from headrace.state import reader
from headrace.state.catalog import Catalog
from headrace.state.changes import Change
from headrace.state.codec import decode
from headrace.state.connection import Redis, redis_errors
from headrace.state.history import HISTORY_DIFFERS, Point, join
from headrace.state.keys import Keys
from headrace.state.persistent_map import PersistentMap
from headrace.state.record_collections import COLLECTIONS, Collection
from headrace.state.records import ModelRecord, VersionRecord
from headrace.state.version_map import VersionMap
from headrace.state.wholeness import Counts, check_whole, not_whole

PAGE = 250
"""Records in a page: 2 ms of this process's time, and a quarter of a megabyte of versions."""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A catalog, and the point in the state's history at which it was read."""

    point: Point
    catalog: Catalog


async def read_snapshot(
    redis: Redis, keys: Keys, page: int = PAGE, without: frozenset[str] = frozenset()
) -> Snapshot:
    """The whole state at one revision, but for the collections of the names `without`.

    Raises Unavailable: STATE_UNAVAILABLE where the server is away, STATE_NOT_STARTED where no registry
    has begun a state there, STATE_NOT_WHOLE where records of it are gone.
    """
    for _ in range(_TRIES):
        try:
            return await _read(redis, keys, page, without)
        except errors.OutOfRange as error:  # another history, or more changes than are kept
            moved = error.message
    raise errors.Unavailable(
        "STATE_UNAVAILABLE",
        f"the shared state at {redis.address} changed too much while it was read ({moved}): retry",
        facts={"address": redis.address},
        retry_after_seconds=1.0,
    )


async def _read(redis: Redis, keys: Keys, page: int, without: frozenset[str]) -> Snapshot:
    point = (await _read_head(redis, keys)).point
    models: dict[str, ModelRecord] = {}
    async for records in _pages(redis, keys.models, page):
        models |= {key.decode(): decode(ModelRecord, value) for key, value in records.items()}
    versions: dict[str, dict[int, VersionRecord | bytes]] = {}
    async for records in _pages(redis, keys.versions, page):
        for key, value in records.items():
            model, number = reader.version_key(key.decode())
            versions.setdefault(model, {})[number] = value
    further = {
        each.name: await _records(redis, keys, each, page)
        for each in COLLECTIONS.further
        if each.name not in without
    }
    # In threads: what takes long must not hold up the event loop.
    catalog = await asyncio.to_thread(_catalog, point.revision, models, versions, further, without)
    catalog, head = await _catch_up(redis, keys, catalog, point)
    newest = await _newest(redis, keys, head)
    await asyncio.to_thread(check_whole, catalog, head.counts, newest, begun=head.begun)
    return Snapshot(head.point, catalog)


def _catalog(
    revision: int,
    models: dict[str, ModelRecord],
    versions: dict[str, dict[int, VersionRecord | bytes]],
    further: dict[str, dict[str, object]],
    without: frozenset[str],
) -> Catalog:
    mapped = {name: PersistentMap(records) for name, records in further.items() if records}
    held = VersionMap.of_models(VersionRecord, versions)
    return Catalog(revision, models, held, mapped, without=without)


async def _records(
    redis: Redis, keys: Keys, collection: Collection[Any], page: int
) -> dict[str, object]:
    """The records of a collection by their keys."""
    found: dict[str, object] = {}
    async for records in _pages(redis, keys.collection(collection.name), page):
        found |= {key.decode(): decode(collection.record_type, one) for key, one in records.items()}
    return found


async def _pages(redis: Redis, key: str, page: int) -> AsyncIterator[dict[bytes, bytes]]:
    """A hash in pages: each field that is there all the time is in one of them at least."""
    cursor = 0
    while True:
        with redis_errors(redis):
            found: Any = await redis.hscan(key, cursor, count=page)
        cursor, records = found
        yield records
        if not cursor:
            return


@dataclass(frozen=True, slots=True)
class _Head:
    """The state's epoch and revision, if it has one, and how many records there are."""

    point: Point
    begun: bool
    counts: Counts | None


async def _read_head(redis: Redis, keys: Keys) -> _Head:
    pipeline = redis.pipeline(transaction=True)
    pipeline.mget(keys.epoch, keys.revision, keys.change_hash, keys.counts)
    pipeline.hlen(keys.numbers)
    with redis_errors(redis):
        (epoch, revision, newest_hash, found), numbers = await pipeline.execute()
    point = reader.point_of(redis, epoch, revision, newest_hash)
    counts = Counts.parse(found)
    wrong = counts.wrong_numbers(point.revision, numbers) if counts else ""
    if wrong:
        raise not_whole(wrong)
    return _Head(point, revision is not None, counts)


async def _catch_up(
    redis: Redis, keys: Keys, catalog: Catalog, point: Point
) -> tuple[Catalog, _Head]:
    """The catalog after all changes since a point, and where the state is then.

    Raises OutOfRange where these changes do not go on from there, or are not kept.
    """
    while (head := await _read_head(redis, keys)).point != point:
        if not head.point.is_after(point):
            raise errors.OutOfRange(HISTORY_DIFFERS, "the state has another history")
        with redis_errors(redis):
            found: Any = await redis.xrange(keys.changes, f"({point.revision}-0", count=PAGE)
        if not found:
            raise errors.OutOfRange("CHANGE_MISSED", "changes are not kept")
        for _, fields in found:
            entry = reader.entry_of(fields)
            point = join(point, entry)
            catalog = reader.apply(catalog, entry.change, over_newer=True)
    return catalog, head


async def _newest(redis: Redis, keys: Keys, head: _Head) -> Change | None:
    """The newest change, where the counts are of before it.

    It is read only where it is needed: a damaged change is no reason not to start.
    """
    if head.counts is not None and head.counts.revision == head.point.revision:
        return None
    at = f"{head.point.revision}-0"
    with redis_errors(redis):
        found: Any = await redis.xrange(keys.changes, at, at) if head.point.revision else []
    return reader.entry_of(found[0][1]).change if found else None
