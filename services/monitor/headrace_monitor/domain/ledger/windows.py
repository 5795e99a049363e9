"""Telemetry in windows of time, at several resolutions, within a bound on memory.

A window of a resolution covers (start, start + seconds], so a report that ends on the full second counts
to the second it tells of. A window goes when it was opened longer ago than its resolution is kept, by the
steady time: a clock that steps deletes nothing. When all of them together outgrow the bound, those that
were opened first go first, at every resolution alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Series
from headrace_monitor.domain.telemetry.tally import Tally

CELL_OVERHEAD_BYTES = 250
"""The memory of a cell beside its bytes: bytes object, dict entry, a share of its key (measured)."""

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


class Windows:
    """All windows; holds at most `limit_bytes`, cells' overhead included. `prune` tells it the time."""

    def __init__(self, kept: tuple[Resolution, ...], limit_bytes: int) -> None:
        self.resolutions = kept
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._windows: dict[int, dict[int, dict[Series, bytes]]] = {
            resolution.seconds: {} for resolution in kept
        }
        self._opened: dict[int, dict[int, int]] = {resolution.seconds: {} for resolution in kept}
        """By resolution and start, when a window was opened by the steady time; in that order."""
        self._floors = {resolution.seconds: 0 for resolution in kept}
        self._earliest = dict(self._floors)
        self._present = {resolution.seconds: _NEVER for resolution in kept}
        self._steady_ns = 0
        self._gone: set[WindowKey] = set()

    @property
    def size_bytes(self) -> int:
        """The memory that all windows take now."""
        return self._size_bytes

    @property
    def floors(self) -> dict[int, int]:
        """By resolution, where the windows begin that are all there: before it, some were dropped."""
        return dict(self._floors)

    def opened(self, window: WindowKey) -> int:
        """Give when a window was opened, by the steady time."""
        return self._opened[window.resolution][window.start]

    def take_gone(self) -> frozenset[WindowKey]:
        """The windows that were dropped since this was last called."""
        gone, self._gone = frozenset(self._gone), set()
        return gone

    def restore(
        self,
        cells: Mapping[Cell, bytes],
        opened: Mapping[WindowKey, int],
        floors: Mapping[int, int],
    ) -> None:
        """Take up what was stored."""
        self._floors.update(
            (seconds, floors[seconds]) for seconds in self._floors if seconds in floors
        )
        windows: dict[WindowKey, list[Cell]] = {}
        for cell in cells:
            if cell.resolution in self._windows:
                windows.setdefault(WindowKey(cell.resolution, cell.start), []).append(cell)
        for window in sorted(windows, key=lambda window: opened[window]):
            self._opened[window.resolution][window.start] = opened[window]
            for cell in windows[window]:
                self.put(cell, cells[cell])

    def add(self, series: Series, end_ns: int, tally: Tally) -> list[Cell]:
        """Count `tally` in the windows in which its interval ended, and say which cells changed.

        A resolution that keeps no window as old, or dropped it, counts nothing.
        """
        changed = []
        for resolution in self.resolutions:
            cell = Cell(resolution.seconds, resolution.window_of(end_ns), series)
            if cell.start >= self._earliest[resolution.seconds]:
                self.put(cell, encoding.encode(self._sum(cell, tally)))
                changed.append(cell)
        return changed

    def put(self, cell: Cell, encoded: bytes) -> None:
        """Set what a cell holds; then drop the oldest windows that are over the bound."""
        self._opened[cell.resolution].setdefault(cell.start, self._steady_ns)
        window = self._windows[cell.resolution].setdefault(cell.start, {})
        self._size_bytes += _cost(encoded) - _cost(window.get(cell.series))
        window[cell.series] = encoded
        while self._size_bytes > self._limit_bytes:
            self._drop_oldest()

    def get(self, cell: Cell) -> bytes | None:
        """The encoded tally of a cell."""
        return self._windows[cell.resolution].get(cell.start, {}).get(cell.series)

    def between(
        self, resolution: int, first: int, last: int
    ) -> Iterator[tuple[int, Series, bytes]]:
        """(start, series, encoded tally) of the windows that start at `first` to `last`, in no order.

        Any thread may ask; what is merged meanwhile may be told or not.
        """
        windows = self._windows[resolution]
        wanted = range(first, last + 1, resolution)
        for start in wanted if len(wanted) < len(windows) else list(windows):
            if first <= start <= last:
                # a copy, since another thread may add to it
                for series, encoded in list(windows.get(start, {}).items()):
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

    def _sum(self, cell: Cell, tally: Tally) -> Tally:
        encoded = self.get(cell)
        return tally if encoded is None else encoding.decode(encoded).plus(tally)

    def _drop_oldest(self) -> None:
        oldest = [
            (opened[start := next(iter(opened))], WindowKey(seconds, start))
            for seconds, opened in self._opened.items()
            if opened
        ]
        self._drop(min(oldest)[1])

    def _drop(self, window: WindowKey) -> None:
        del self._opened[window.resolution][window.start]
        cells = self._windows[window.resolution].pop(window.start)
        self._size_bytes -= sum(map(_cost, cells.values()))
        self._gone.add(window)
        floor = max(self._floors[window.resolution], window.start + window.resolution)
        self._set_floor(window.resolution, floor)

    def _set_floor(self, seconds: int, floor: int) -> None:
        # never above the present: what comes after a clock that was ahead is set back, counts at once
        self._floors[seconds] = floor = min(floor, self._present[seconds])
        self._earliest[seconds] = max(floor, self._earliest[seconds])


def _cost(encoded: bytes | None) -> int:
    return 0 if encoded is None else len(encoded) + CELL_OVERHEAD_BYTES
