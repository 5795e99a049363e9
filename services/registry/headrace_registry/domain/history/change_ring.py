"""The newest changes in memory, each encoded once, and those who wait for the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from headrace.resource_names import model_of
from headrace.state.changes import EPOCH_BEGINS, Change
from headrace.state.history import Entry, Point

MAX_CHANGES = 4096
MAX_BYTES = 16 << 20
_WOKEN_AT_A_TIME = 64
"""So many waiters go on before the event loop looks at anything else again."""

Encode = Callable[[Change, Point], bytes]


@dataclass(frozen=True, slots=True)
class KeptChange:
    """A change as watchers get it, the models whose resources it touched, and the point after it."""

    point: Point
    previous_hash: str
    models: frozenset[str]
    message: bytes


class ChangeRing:
    """Changes of one epoch without a gap, the oldest dropped first."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._kept: deque[KeptChange] = deque()
        self._bytes = 0
        self._waiting: dict[str | None, set[asyncio.Future[int]]] = {}
        self._waking: deque[tuple[asyncio.Future[int], int]] = deque()
        self._marked: set[asyncio.Future[int]] = set()
        self._marked_at = Point()
        self.end = Point()
        """The point after the newest change."""

    @property
    def start_revision(self) -> int:
        """The revision before the oldest change that is kept."""
        return self.end.revision - len(self._kept)

    def after(self, revision: int) -> KeptChange | None:
        """The change after a revision, which must be `start_revision` or later; None: not made yet."""
        place = revision - self.start_revision
        return self._kept[place] if place < len(self._kept) else None

    def point_at(self, revision: int) -> Point:
        """The point at a revision after `start_revision`."""
        return self._kept[revision - self.start_revision - 1].point

    def begin(self, point: Point) -> None:
        """Begin anew at a point: what was kept is of another epoch, or there is a gap before it."""
        self._kept.clear()
        self._bytes = 0
        self.end = point
        for model in list(self._waiting):
            self._wake(model, point.revision + 1)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Take the next changes, and wake those who wait for them."""
        for entry in entries:
            self._take(entry)
            for model in self._kept[-1].models:
                self._wake(model, self.end.revision)
            self._wake(None, self.end.revision)

    def prepend(self, entries: Sequence[Entry]) -> None:
        """Take older changes, which lead to the oldest that is kept, as far as there is room."""
        oldest = self._kept[0].previous_hash if self._kept else self.end.hash
        for entry in reversed(entries):
            change = entry.change
            if change.revision != self.start_revision or entry.hash != oldest or self._full:
                return
            if change.kind == EPOCH_BEGINS:
                return
            kept = self.encoded(entry)
            self._kept.appendleft(kept)
            self._bytes += len(kept.message)
            oldest = kept.previous_hash

    def encoded(self, entry: Entry) -> KeptChange:
        """A change of the ring's epoch as watchers get it."""
        change = entry.change
        point = Point(self.end.epoch, change.revision, entry.hash)
        models = frozenset(model_of(each.resource) for each in change.resources)
        return KeptChange(point, change.previous_hash, models, self._encode(change, point))

    def wait(self, model: str | None, *, mark: bool) -> asyncio.Future[int]:
        """The revision of the next change of a model, or of any; with `mark` also what `wake_marked` says.

        Who waits must have seen all that is kept, and calls `forget` with the future at last.
        """
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(model, set()).add(waiter)
        if mark:
            self._marked.add(waiter)
        return waiter

    def forget(self, model: str | None, waiter: asyncio.Future[int]) -> None:
        """Let a waiter go."""
        self._marked.discard(waiter)
        waiters = self._waiting.get(model)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[model]

    def wake_marked(self) -> None:
        """Tell those who want to know that nothing up to now concerned them, where anything came."""
        if self.end != self._marked_at:
            self._wake_all(self._marked, self.end.revision + 1)
            self._marked, self._marked_at = set(), self.end

    def wake_everybody(self) -> None:
        """Have all who wait look at what has become of the ring."""
        for model in list(self._waiting):
            self._wake(model, self.end.revision + 1)

    @property
    def _full(self) -> bool:
        return len(self._kept) >= MAX_CHANGES or self._bytes >= MAX_BYTES

    def _take(self, entry: Entry) -> None:
        kept = self.encoded(entry)
        while self._kept and self._full:
            self._bytes -= len(self._kept.popleft().message)
        self._kept.append(kept)
        self._bytes += len(kept.message)
        self.end = kept.point

    def _wake(self, model: str | None, revision: int) -> None:
        self._wake_all(self._waiting.pop(model, ()), revision)

    def _wake_all(self, waiters: Iterable[asyncio.Future[int]], revision: int) -> None:
        idle = not self._waking
        self._waking.extend((waiter, revision) for waiter in waiters)
        if idle and self._waking:
            asyncio.get_running_loop().call_soon(self._wake_some)

    def _wake_some(self) -> None:
        for _ in range(min(_WOKEN_AT_A_TIME, len(self._waking))):
            waiter, revision = self._waking.popleft()
            if not waiter.done():
                waiter.set_result(revision)
        if self._waking:
            asyncio.get_running_loop().call_soon(self._wake_some)
