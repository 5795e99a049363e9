"""Telemetry in windows of time, at several resolutions, within a bound on memory.

A window of a resolution covers (start, start + seconds], so a report that ends on the full second counts
to the second it tells of. A window goes when it was opened longer ago than its resolution is kept, by the
steady time: a clock that steps deletes nothing. When all of them together outgrow the bound, the finest go
first, those that were opened first before others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger.cells import Cells, WindowCells
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Series

KEPT_OF_EACH = 60
"""Windows of each resolution that are kept when memory is short, while coarser ones have more: a minute,
ten minutes and an hour."""

ADDED_UP = 64
"""Cells of a resolution that are added up at once, where memory is short."""

_NEVER = 2**62


@dataclass(frozen=True, slots=True)
class Resolution:
    """Windows of so many seconds, kept for so long."""

    seconds: int
    kept_seconds: int

    def window_of(self, time_ns: int) -> int:
        """The start, in seconds, of the window that ends at or covers this time."""
        return -(-time_ns // (self.seconds * NANOSECONDS)) * self.seconds - self.seconds

    def floor_at(self, now_ns: int) -> int:
        """The start of the oldest window that is kept."""
        return self.window_of(now_ns - self.kept_seconds * NANOSECONDS)


def resolutions(kept_hours: int) -> tuple[Resolution, ...]:
    """Seconds for 10 minutes, tens of seconds for 2 hours, minutes for `kept_hours`; finest first."""
    hour = 3600
    return (
        Resolution(1, 600),
        Resolution(10, min(2, kept_hours) * hour),
        Resolution(60, kept_hours * hour),
    )


class Cell(NamedTuple):
    """The place of one series' tally in one window."""

    resolution: int
    start: int
    series: Series


class WindowKey(NamedTuple):
    """One window."""

    resolution: int
    start: int


class _SeveralTallies(NamedTuple):
    """A cell that holds several tallies, and when its window is over, by the steady time."""

    over_ns: int
    window: WindowCells
    series: Series


class Windows:
    """All windows; holds at most `limit_bytes`, cells' overhead included. `prune` tells it the time."""

    def __init__(self, kept: tuple[Resolution, ...], limit_bytes: int) -> None:
        self.resolutions = kept
        self._limit_bytes = limit_bytes
        self._cells = Cells()
        self._windows: dict[int, dict[int, WindowCells]] = {
            resolution.seconds: {} for resolution in kept
        }
        self._opened: dict[int, dict[int, int]] = {resolution.seconds: {} for resolution in kept}
        """By resolution and start, when a window was opened by the steady time; in that order."""
        self._floors = {resolution.seconds: 0 for resolution in kept}
        self._earliest = dict(self._floors)
        self._present = {resolution.seconds: _NEVER for resolution in kept}
        self._steady_ns = 0
        self._several: dict[int, deque[_SeveralTallies]] = {each.seconds: deque() for each in kept}
        """By resolution, the cells that hold several tallies, in the order of their windows."""
        self._revisions: dict[WindowKey, int] = {}
        self._next_revision = count(1)
        self._gone: set[WindowKey] = set()
        self._changed: set[WindowKey] = set()

    @property
    def size_bytes(self) -> int:
        """The memory that all windows take now."""
        return self._cells.size_bytes

    @property
    def floors(self) -> dict[int, int]:
        """By resolution, where the windows begin that are all there: before it, some were dropped."""
        return dict(self._floors)

    def opened(self, window: WindowKey) -> int:
        """Give when a window was opened, by the steady time."""
        return self._opened[window.resolution][window.start]

    def revision(self, window: WindowKey) -> int:
        """A number that is another one after each change of a window; 0 where there is none."""
        return self._revisions.get(window, 0)

    def changed(self) -> list[WindowKey]:
        """The windows that changed since `mark_stored`, and are still there."""
        return [key for key in self._changed if key.start in self._windows[key.resolution]]

    def gone(self) -> frozenset[WindowKey]:
        """The windows that were dropped since `mark_stored`."""
        return frozenset(self._gone)

    def mark_stored(self) -> None:
        """All windows are stored as they are now."""
        self._changed, self._gone = set(), set()

    def encoded(self, window: WindowKey) -> dict[Series, bytes]:
        """Add up the cells of a window: one encoded tally for each series."""
        cells = self._windows[window.resolution][window.start]
        for series in cells:
            self._cells.add_up(cells, series)
        return {series: parts[0] for series, parts in cells.items()}

    def restore(
        self,
        windows: Mapping[WindowKey, Mapping[Series, bytes]],
        opened: Mapping[WindowKey, int],
        floors: Mapping[int, int],
    ) -> None:
        """Take up what was stored."""
        self._floors.update(
            (seconds, floors[seconds]) for seconds in self._floors if seconds in floors
        )
        known = [window for window in windows if window.resolution in self._windows]
        for window in sorted(known, key=lambda window: opened[window]):
            self._opened[window.resolution][window.start] = opened[window]
            for series, encoded in windows[window].items():
                self._put(Cell(*window, series), encoded)
        self._changed = set()

    def add(self, series: Series, end_ns: int, encoded: bytes) -> list[Cell]:
        """Count a tally in the windows in which its interval ended, and say which cells changed.

        A resolution that keeps no window as old, or dropped it, counts nothing.
        """
        changed = []
        for resolution in self.resolutions:
            cell = Cell(resolution.seconds, resolution.window_of(end_ns), series)
            if cell.start >= self._earliest[resolution.seconds]:
                self._put(cell, encoded)
                changed.append(cell)
        self._add_up_what_is_over()
        return changed

    def _put(self, cell: Cell, encoded: bytes) -> None:
        """Add to what a cell holds; then drop the oldest windows that are over the bound."""
        self._opened[cell.resolution].setdefault(cell.start, self._steady_ns)
        window = self._windows[cell.resolution].setdefault(cell.start, {})
        if self._cells.put(window, cell.series, encoded):
            over_ns = self._steady_ns + 2 * cell.resolution * NANOSECONDS
            self._several[cell.resolution].append(_SeveralTallies(over_ns, window, cell.series))
        key = WindowKey(cell.resolution, cell.start)
        self._changed.add(key)
        self._revisions[key] = next(self._next_revision)
        while self._cells.size_bytes > self._limit_bytes:
            self._make_room()

    def between(
        self, resolution: int, first: int, last: int
    ) -> Iterator[tuple[int, Series, bytes]]:
        """(start, series, encoded tally) of the windows that start at `first` to `last`, in no order.

        A series has one or more in a window, which add up. Any thread may ask; what is merged meanwhile
        may be told or not.
        """
        windows = self._windows[resolution]
        wanted = range(first, last + 1, resolution)
        for start in wanted if len(wanted) < len(windows) else list(windows):
            if first <= start <= last:
                # a copy, since another thread may add to it
                for series, parts in list(windows.get(start, {}).items()):
                    for encoded in parts:
                        yield start, series, encoded

    def prune(self, moment: Moment) -> None:
        """It is now this moment: drop every window that was opened too long ago."""
        self._steady_ns = moment.steady_ns
        for resolution in self.resolutions:
            seconds, opened = resolution.seconds, self._opened[resolution.seconds]
            before_ns = moment.steady_ns - (resolution.kept_seconds + seconds) * NANOSECONDS
            while opened and opened[start := next(iter(opened))] < before_ns:
                self._drop(WindowKey(seconds, start))
            self._present[seconds] = resolution.window_of(moment.now_ns)
            self._set_floor(seconds, self._floors[seconds])
            floor = self._floors[seconds]
            self._earliest[seconds] = max(floor, resolution.floor_at(moment.now_ns))

    def _add_up_what_is_over(self) -> None:
        """One cell of each resolution with each tally that comes: never many at once."""
        for several in self._several.values():
            if several and several[0].over_ns <= self._steady_ns:
                _, window, series = several.popleft()
                self._cells.add_up(window, series)

    def _make_room(self) -> None:
        """Drop the oldest of the finest windows of which there are many; at last whatever there is."""
        if self._drop_oldest_beyond(KEPT_OF_EACH, self.resolutions[:1]) or self._add_up_some():
            return
        for least in (KEPT_OF_EACH, 1, 0):
            if self._drop_oldest_beyond(least, self.resolutions):
                return

    def _drop_oldest_beyond(self, least: int, kept: tuple[Resolution, ...]) -> bool:
        for resolution in kept:
            opened = self._opened[resolution.seconds]
            if len(opened) > least:
                self._drop(WindowKey(resolution.seconds, next(iter(opened))))
                return True
        return False

    def _add_up_some(self) -> bool:
        """Add up cells before their windows are over; False where there were none."""
        some = [each for several in self._several.values() for each in islice(several, ADDED_UP)]
        for several in self._several.values():
            for _ in range(min(ADDED_UP, len(several))):
                several.popleft()
        for _, window, series in some:
            self._cells.add_up(window, series)
        return bool(some)

    def _drop(self, window: WindowKey) -> None:
        del self._opened[window.resolution][window.start]
        self._cells.drop(self._windows[window.resolution].pop(window.start))
        self._revisions.pop(window, None)
        self._gone.add(window)
        floor = max(self._floors[window.resolution], window.start + window.resolution)
        self._set_floor(window.resolution, floor)

    def _set_floor(self, seconds: int, floor: int) -> None:
        # never above the present: what comes after a clock that was ahead is set back, counts at once
        self._floors[seconds] = floor = min(floor, self._present[seconds])
        self._earliest[seconds] = max(floor, self._earliest[seconds])
