"""Watches: any number of callers follow the changes, all of them from one ring in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from headrace import errors
from headrace.state.history import HISTORY_DIFFERS, Entry, Point
from headrace_registry.domain.history.change_ring import ChangeRing, Encode, KeptChange

MARK_SECONDS = 5.0
"""How often a watch that wants marks is told how far it is, where it was left out meanwhile."""
_FILLING_READS = 8
_READERS = 4
"""So many watches at a time read older changes from the server; others wait for their turn."""


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """After which change a watch starts, of which model (None: of all), and whether it wants marks.

    `sees` tells the models whose changes the watcher may see; None: all.

    Revision 0 is before the first change that is kept. An epoch or hash that is '' is not compared.
    """

    revision: int = 0
    epoch: str = ""
    hash: str = ""
    model: str | None = None
    marks: bool = False
    sees: Callable[[str], bool] | None = None

    def wants(self, kept: KeptChange) -> bool:
        """Return whether a change is one to be told: one of whose models he may not see is not."""
        if not kept.message or (self.model is not None and self.model not in kept.models):
            return False
        return self.sees is None or all(self.sees(model) for model in kept.models)


@dataclass(frozen=True, slots=True)
class Older:
    """Entries as they are kept, oldest first, and the present epoch with the revision at which it began."""

    epoch: str
    epoch_start: int
    entries: Sequence[Entry]


class Archive(Protocol):
    """Changes that are older than those in memory."""

    async def read_after(self, revision: int) -> Older:
        """The next entries that are kept after a revision, some at a time. Raises Unavailable."""

    async def read_up_to(self, revision: int) -> Older:
        """The last entries that are kept up to a revision, some at a time. Raises Unavailable."""


class Watches:
    """The watches of one registry. `begin` and `extend` keep the ring that they are served from."""

    def __init__(
        self,
        archive: Archive,
        encode: Encode,
        encode_mark: Callable[[Point], bytes],
        limit: int,
    ) -> None:
        self._archive = archive
        self._encode = encode
        self._encode_mark = encode_mark
        self._limit = limit
        self._reading = asyncio.Semaphore(_READERS)
        self._ring = ChangeRing(encode)
        self._mark = (Point(), b"")
        self._stopping = False
        self.count = 0
        """How many there are now."""

    def begin(self, point: Point) -> None:
        """Serve from a state that was read anew."""
        self._ring.begin(point)

    def extend(self, entries: Sequence[Entry]) -> None:
        """Serve the next changes."""
        self._ring.extend(entries)

    async def fill(self) -> None:
        """Take the changes before those in memory into memory, too, as far as there is room."""
        for _ in range(_FILLING_READS):
            start = self._ring.start_revision
            older = await self._archive.read_up_to(start)
            if older.epoch == self._ring.end.epoch and start == self._ring.start_revision:
                self._ring.prepend(older.entries)

    def stop(self) -> None:
        """End all watches, with Unavailable (SERVICE_STOPPING)."""
        self._stopping = True
        self._ring.wake_everybody()

    async def mark_for_ever(self) -> None:
        """Tell those who want it, from time to time, how far they are."""
        while True:
            await asyncio.sleep(MARK_SECONDS)
            self._ring.wake_marked()

    async def watch(self, request: WatchRequest) -> AsyncIterator[bytes]:
        """Every change after the start that the watcher wants and may see, encoded, in order, for ever.

        Nothing is held for a slow watcher but its place: when that is no longer in memory, it reads on from
        the server. Raises ResourceExhausted (TOO_MANY_WATCHES), OutOfRange (HISTORY_DIFFERS,
        CHANGES_NOT_KEPT, REVISION_UNKNOWN), Unavailable.
        """
        with self._admitted():
            place, told = await self._join(request), Point()
            while True:
                async for kept in self._changes_after(place):
                    place = kept.point
                    if request.wants(kept):
                        told = place
                        yield kept.message
                if place.revision == self._ring.end.revision:
                    place = self._ring.end
                if request.marks and told != place:
                    told = place
                    yield self._mark_at(place)
                place = await self._next(place, request)

    async def _changes_after(self, place: Point) -> AsyncIterator[KeptChange]:
        """The changes after a point that are there, from memory or the server. Raises as `watch` does."""
        while True:
            self._check_goes_on(place)
            if place.revision < self._ring.start_revision:
                older = await self._older(place)
            elif (kept := self._ring.after(place.revision)) is None:
                return
            else:
                older = (kept,)
            for kept in older:
                if place.hash not in ("", kept.previous_hash):
                    raise differs(self._ring.end)
                place = kept.point
                yield kept

    def _check_goes_on(self, place: Point) -> None:
        if self._stopping:
            raise errors.Unavailable(
                "SERVICE_STOPPING",
                "the registry is stopping: watch again",
                retry_after_seconds=1.0,
            )
        end = self._ring.end
        if place.epoch != end.epoch or (
            place.revision == end.revision and place.hash not in ("", end.hash)
        ):
            raise differs(end)

    async def _older(self, place: Point) -> Sequence[KeptChange]:
        async with self._reading:
            older = await self._archive.read_after(place.revision)
        if older.epoch != place.epoch:
            raise differs(self._ring.end)
        entries = tuple(_without_gap(place.revision, older.entries))
        if not entries or place.revision < older.epoch_start:
            raise errors.OutOfRange(
                "CHANGES_NOT_KEPT",
                f"the changes after revision {place.revision} are no longer kept: list, then watch from "
                "there",
                facts={"revision": str(self._ring.end.revision)},
            )
        return [self._ring.encoded(entry) for entry in entries]

    async def _join(self, request: WatchRequest) -> Point:
        """The point at which a watch starts."""
        end = self._ring.end
        if request.epoch not in ("", end.epoch):
            raise differs(end)
        if request.revision > end.revision:
            raise errors.OutOfRange(
                "REVISION_UNKNOWN",
                f"the state is at revision {end.revision} and never was at {request.revision}: list, then "
                "watch",
                facts={"revision": str(end.revision)},
            )
        if request.revision:
            return Point(end.epoch, request.revision, request.hash)
        return Point(end.epoch, await self._first_revision(), "")

    async def _first_revision(self) -> int:
        """The revision before the first change that is kept of the epoch."""
        async with self._reading:
            begun = (await self._archive.read_after(self._ring.end.revision)).epoch_start
            oldest = (await self._archive.read_after(begun)).entries
        in_memory = self._ring.start_revision
        return min(oldest[0].change.revision - 1, in_memory) if oldest else in_memory

    async def _next(self, place: Point, request: WatchRequest) -> Point:
        """Wait for the next change; the point right before it, or where all was seen that is there."""
        if self._ring.end != place:
            return place  # something came while the last of it was being delivered
        waiter = self._ring.wait(request.model, mark=request.marks)
        try:
            revision = await waiter
        finally:
            self._ring.forget(request.model, waiter)
        ring = self._ring
        if self._stopping or ring.end.epoch != place.epoch or revision - 1 <= ring.start_revision:
            return place
        return ring.point_at(revision - 1)

    def _mark_at(self, point: Point) -> bytes:
        if self._mark[0] != point:
            self._mark = (point, self._encode_mark(point))
        return self._mark[1]

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self.count >= self._limit:
            raise errors.ResourceExhausted(
                "TOO_MANY_WATCHES",
                f"{self.count} watches are open; the registry allows {self._limit} (its setting "
                "max_watches): share one watch between readers, or raise it",
                facts={"limit": str(self._limit), "setting": "max_watches"},
                retry_after_seconds=5.0,
            )
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


def _without_gap(revision: int, entries: Sequence[Entry]) -> Iterator[Entry]:
    """The entries that follow on a revision, one after the other."""
    for entry in entries:
        revision += 1
        if entry.change.revision != revision:
            return
        yield entry


def differs(end: Point) -> errors.OutOfRange:
    """A place in a history that is not that of the state."""
    return errors.OutOfRange(
        HISTORY_DIFFERS,
        "the state has another history than the one that is watched: it was restored from an older copy, "
        "or exchanged; list, then watch from there",
        facts={"revision": str(end.revision), "epoch": end.epoch},
    )
