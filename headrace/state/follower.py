"""Following the shared state: a catalog that is always the newest this process could learn of.

List, then watch: a snapshot at revision R, then the changes after R. A follower that fell behind the
trimmed stream, that finds another epoch, or a change that does not follow on what it knows, starts again
from a snapshot. While the server is away the last catalog stays, and `connected` says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from headrace import errors
from headrace.state import reader
from headrace.state.catalog import Catalog
from headrace.state.connection import TIMEOUT_SECONDS, Redis
from headrace.state.history import HISTORY_DIFFERS, Entry, Point, join
from headrace.state.keys import Keys
from headrace.state.outage import ACCESS_DENIED, Outage
from headrace.state.schema import SCHEMA, is_newer, newer
from headrace.state.snapshot import Snapshot, read_snapshot
from headrace.state.wholeness import NOT_WHOLE

logger = logging.getLogger(__name__)

_WAIT_MILLISECONDS = int(TIMEOUT_SECONDS * 1000 / 5)


Examine = Callable[[Point], Awaitable[bool]]


async def _nothing_to_do(_: Point) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Update:
    """An update for a subscriber: the new catalog, its point in history, and what led to it.

    Without entries it is a snapshot: nothing says that it follows on what was known before.
    """

    catalog: Catalog
    point: Point
    entries: tuple[Entry, ...] = ()


class StateFollower:
    """The newest catalog, kept up to date by `run`, which its owner runs in a TaskGroup.

    `examine` is asked about every snapshot before it is believed, and says whether to read again.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        examine: Examine = _nothing_to_do,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Leave the collections of the names `without` out: nothing of them is held."""
        self._redis = redis
        self._examine = examine
        self._keys = keys
        self._stale = False
        """Whether all is to be read anew."""
        self._parted = False
        """Whether a change was seen that does not follow on what is known."""
        self._empty_epoch: str | None = None
        self._moved = asyncio.Condition()
        self._subscribers: set[asyncio.Queue[Update]] = set()
        self._breaks = 0
        """How often what was read did not go on from what was known."""
        self._without = without
        self.catalog = Catalog(without=without)
        self.point = Point()
        """Where the catalog is in the history of the state."""
        self.schema = SCHEMA
        """The schema number of the state as it was read last."""
        self.connected = False
        """Whether the last contact with the server went well."""
        self.problem: errors.Unavailable | None = None
        """What keeps the state from being followed at present."""
        self.on_unread: Callable[[errors.Unavailable], None] = lambda _: None
        """Told what keeps the state from being read for the first time, whenever that is another thing."""
        self.on_update: Callable[[Update], None] = lambda _: None
        """Told of every update at once, before anybody who waits for its revision."""
        self._outage = Outage()

    @property
    def synced(self) -> bool:
        """Return whether a snapshot was ever read: before, the catalog is empty and means nothing."""
        return bool(self.point.epoch)

    @property
    def whole(self) -> bool:
        """Return whether all records of the state were there when it was read last."""
        return self.problem is None or self.problem.reason != NOT_WHOLE

    @property
    def denied(self) -> bool:
        """Return whether the server lets this process not read the state."""
        return self.problem is not None and self.problem.reason == ACCESS_DENIED

    def facts(self) -> dict[str, object]:
        """Return the facts of readiness about the state: whether it was read, and what is wrong with it."""
        facts: dict[str, object] = {"state_connected": self.connected, "state_whole": self.whole}
        if is_newer(self.schema):
            facts |= {"state_schema": self.schema, "state_read_only": newer(self.schema)}
        if self.denied:
            facts["state_denied"] = True
        return facts if self.problem is None else facts | {"state_problem": self.problem.message}

    async def start(self, begin: Callable[[], Awaitable[None]]) -> float | None:
        """Begin the state and read it; where that fails, how long to wait before the next attempt."""
        try:
            await begin()
            await self.refresh()
        except errors.Unavailable as error:
            return self._failed(error)
        return None

    async def run(self) -> None:
        """Follow for ever. Errors of the server, and records that cannot be read, are outlived.

        What a change did that cannot be read is in the snapshot all the same.
        """
        while True:
            try:
                await self._follow_once()
            except errors.OutOfRange as error:
                self._stale = True
                self._parted |= error.reason == HISTORY_DIFFERS
                logger.warning("reading the shared state anew: %s", error.message)
            except errors.DataLoss as error:
                self._stale = True
                unreadable = errors.Unavailable(error.reason, error.message)
                await asyncio.sleep(self._failed(unreadable))
            except errors.Unavailable as error:
                await asyncio.sleep(self._failed(error))

    async def refresh(self) -> None:
        """Read a snapshot now. Raises Unavailable where it cannot."""
        snapshot = await read_snapshot(self._redis, self._keys, without=self._without)
        if self._is_emptied(snapshot):
            self._keep_what_is_known(snapshot.point.epoch)
            return
        while await self._examine(snapshot.point):
            snapshot = await read_snapshot(self._redis, self._keys, without=self._without)
        # What is the same stays the same object: a reader looks at what changed alone.
        catalog = await asyncio.to_thread(snapshot.catalog.sharing, self.catalog)
        known, found = self.point, snapshot.point
        if self.synced and (self._parted or not found.is_after(known)):
            self._breaks += 1
            _say_broken(known, found)
        self._stale = self._parted = False
        if found != known:
            await self._publish(Update(catalog, found))

    def _is_emptied(self, snapshot: Snapshot) -> bool:
        """Return whether another state, without any model, stands where one with models was."""
        other = snapshot.point.epoch != self.point.epoch
        return other and bool(self.catalog.models) and not snapshot.catalog.models

    def _keep_what_is_known(self, epoch: str) -> None:
        """Another state, without any model, stands where ours was: more likely a loss than a wish."""
        if epoch != self._empty_epoch:
            logger.error("the shared state was emptied: what is known is kept until it has a model")
        self._empty_epoch = epoch

    async def wait_for_revision(self, revision: int) -> None:
        """Wait until the catalog is at this revision or later, or has another history: it may never be."""
        breaks = self._breaks

        def arrived() -> bool:
            return self.catalog.revision >= revision or self._breaks != breaks

        async with self._moved:
            await self._moved.wait_for(arrived)

    async def wait_until_left(self, point: Point) -> None:
        """Wait until the catalog is at another point in history."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.point != point)

    async def updates(self) -> AsyncIterator[Update]:
        """Every update from now on, the present catalog first (as soon as there is one)."""
        queue: asyncio.Queue[Update] = asyncio.Queue()
        if self.synced:
            queue.put_nowait(Update(self.catalog, self.point))
        self._subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)

    async def _follow_once(self) -> None:
        position = await reader.read_position(self._redis, self._keys)
        self._take_schema(position.schema)
        if (
            self._stale
            or not position.point.is_after(self.point)
            or not position.covers(self.point.revision)
        ):
            await self.refresh()
        if not self.connected:
            logger.info("following the shared state", extra={"revision": self.point.revision})
        self.connected, self.problem = True, None
        self._outage.over()
        entries = await reader.read_changes(
            self._redis, self._keys, self.point.revision, _WAIT_MILLISECONDS
        )
        await self._apply(entries)

    def _take_schema(self, schema: int) -> None:
        if schema != self.schema and is_newer(schema):
            facts = {"schema": schema, "known": SCHEMA}
            logger.warning(
                "the shared state is read as far as it is known here: %s",
                newer(schema),
                extra=facts,
            )
        self.schema = schema

    async def _apply(self, entries: Sequence[Entry]) -> None:
        catalog, point = self.catalog, self.point
        fresh = tuple(entry for entry in entries if entry.change.revision > point.revision)
        for entry in fresh:
            point = join(point, entry)
            catalog = reader.apply(catalog, entry.change)
        if fresh:
            await self._publish(Update(catalog, point, fresh))

    async def _publish(self, update: Update) -> None:
        async with self._moved:
            self.catalog, self.point = update.catalog, update.point
            self.on_update(update)
            self._moved.notify_all()
        for queue in self._subscribers:
            queue.put_nowait(update)

    def _failed(self, error: errors.Unavailable) -> float:
        """Take a failure; how long to wait before the next attempt."""
        news = self.problem is None or self.problem.message != error.message
        self.problem = error
        if news and not self.synced:
            self.on_unread(error)
        self.connected = error.reason == NOT_WHOLE  # reached, and not believed
        return self._outage.failed(error)


def _say_broken(known: Point, found: Point) -> None:
    """Log that what was found does not go on from what was known."""
    facts = {"had": known.revision, "has": found.revision, "epoch": found.epoch}
    if known.epoch != found.epoch:
        logger.warning("another epoch of the shared state has begun", extra=facts)
    elif found.revision < known.revision:
        logger.error("the shared state went back: acknowledged changes are lost", extra=facts)
    else:
        logger.error(
            "the shared state has another history than was followed: it went back, and other changes were "
            "made since; acknowledged changes are lost",
            extra=facts,
        )
