"""Telemetry in windows of time, at several resolutions, within a bound on memory.

A window of a resolution covers (start, start + seconds], so a report that ends on the full second counts
to the second it tells of. Windows are kept until they are older than their resolution is kept; when all
of them together outgrow the bound, the oldest go first, at every resolution alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from headrace_monitor.domain import packing
from headrace_monitor.domain.telemetry import NANOSECONDS, Series, Tally

CELL_OVERHEAD_BYTES = 250
"""What a cell costs beside its bytes: the bytes object, its dict entry, its share of its key (measured)."""


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


class Windows:
    """All windows; holds at most `limit_bytes`, cells' overhead included."""

    def __init__(self, kept: tuple[Resolution, ...], limit_bytes: int) -> None:
        self.resolutions = kept
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._windows: dict[int, dict[int, dict[Series, bytes]]] = {
            resolution.seconds: {} for resolution in kept
        }
        self._floors = {resolution.seconds: 0 for resolution in kept}
        self._pruned = dict(self._floors)

    @property
    def size_bytes(self) -> int:
        """What all windows hold now."""
        return self._size_bytes

    @property
    def floors(self) -> dict[int, int]:
        """By resolution, the start of the oldest window that may hold anything."""
        return dict(self._floors)

    def add(self, series: Series, end_ns: int, tally: Tally) -> list[Cell]:
        """Count `tally` in the windows in which its interval ended, and say which cells changed.

        A resolution that keeps no window as old counts nothing.
        """
        changed = []
        for resolution in self.resolutions:
            cell = Cell(resolution.seconds, resolution.window_of(end_ns), series)
            if cell.start >= self._floors[resolution.seconds]:
                self.put(cell, packing.pack(self._sum(cell, tally)))
                changed.append(cell)
        return changed

    def put(self, cell: Cell, packed: bytes) -> None:
        """Set what a cell holds; then drop the oldest windows that are over the bound."""
        window = self._windows[cell.resolution].setdefault(cell.start, {})
        self._size_bytes += _cost(packed) - _cost(window.get(cell.series))
        window[cell.series] = packed
        while self._size_bytes > self._limit_bytes:
            self._drop_oldest()

    def get(self, cell: Cell) -> bytes | None:
        """What a cell holds, packed."""
        return self._windows[cell.resolution].get(cell.start, {}).get(cell.series)

    def between(
        self, resolution: int, first: int, last: int
    ) -> Iterator[tuple[int, Series, bytes]]:
        """(start, series, packed tally) of the windows that start at `first` to `last`, in no order.

        Any thread may ask; what is merged meanwhile may be told or not.
        """
        windows = self._windows[resolution]
        wanted = range(first, last + 1, resolution)
        for start in wanted if len(wanted) < len(windows) else list(windows):
            if first <= start <= last:
                # a copy, since another thread may add to it
                for series, packed in list(windows.get(start, {}).items()):
                    yield start, series, packed

    def prune(self, now_ns: int) -> None:
        """Drop every window that is too old to be kept; by a clock that went back, fewer are."""
        for resolution in self.resolutions:
            floor = resolution.floor_at(now_ns)
            if floor < self._pruned[resolution.seconds]:
                self._floors[resolution.seconds] = floor
            self._pruned[resolution.seconds] = floor
            self._drop_below(resolution.seconds, floor)

    def _sum(self, cell: Cell, tally: Tally) -> Tally:
        packed = self.get(cell)
        if packed is None:
            return tally
        total = packing.unpack(packed)
        total.add(tally)
        return total

    def _drop_oldest(self) -> None:
        start, resolution = min(
            (min(windows), resolution) for resolution, windows in self._windows.items() if windows
        )
        self._drop_below(resolution, start + resolution)

    def _drop_below(self, resolution: int, floor: int) -> None:
        if floor <= self._floors[resolution]:
            return
        self._floors[resolution] = floor
        windows = self._windows[resolution]
        for start in [start for start in windows if start < floor]:
            self._size_bytes -= sum(map(_cost, windows.pop(start).values()))


def _cost(packed: bytes | None) -> int:
    return 0 if packed is None else len(packed) + CELL_OVERHEAD_BYTES
