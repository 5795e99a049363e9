"""The cells of windows: encoded tallies that are added up many at a time.

A report's tally is put beside those of its cell. Adding up sixteen of them at once costs little more than
adding two; dense rows instead, of 1,921 buckets each, would take 60 kB for each series and window.
"""

from __future__ import annotations

from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import Series

CELL_OVERHEAD_BYTES = 280
"""The memory of a cell beside its bytes: bytes object, tuple, dict entry, a share of its key (measured)."""

ADDED_TOGETHER = 16
"""So many tallies of a cell wait to be added up."""

WindowCells = dict[Series, tuple[bytes, ...]]
"""By series, encoded tallies that add up to what the window counted of it. A tuple never changes, so any
thread may read."""


class Cells:
    """Puts tallies into cells, and knows what all cells take."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def put(self, window: WindowCells, series: Series, encoded: bytes) -> bool:
        """Add to what a cell holds; True where it begins to hold several, to be added up some time."""
        known = window.get(series)
        if known is None:
            window[series] = (encoded,)
            self.size_bytes += len(encoded) + CELL_OVERHEAD_BYTES
            return False
        window[series] = (*known, encoded)
        self.size_bytes += len(encoded)
        if len(known) + 1 >= ADDED_TOGETHER:
            self.add_up(window, series)
        return len(known) == 1

    def add_up(self, window: WindowCells, series: Series) -> None:
        """Make one tally of those that a cell holds."""
        parts = window.get(series, ())
        if len(parts) > 1:
            window[series] = total = (encoding.sum_of(parts),)
            self.size_bytes += _cost(total) - _cost(parts)

    def drop(self, window: WindowCells) -> None:
        """A window is no more."""
        self.size_bytes -= sum(map(_cost, window.values()))
        window.clear()


def _cost(parts: tuple[bytes, ...]) -> int:
    return sum(map(len, parts)) + CELL_OVERHEAD_BYTES
