"""Sums of windows over all replicas, kept for the next question.

A page that is open asks for the last minute every second. Of the windows in it, all but the newest are as
they were: what their cells add up to is remembered, so a question adds up what is new.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from threading import Lock

from headrace_monitor.domain.ledger.windows import WindowKey, Windows
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import Series

LIMIT_BYTES = 32 * 2**20
"""What sums may take; over it those go that were asked for longest ago."""

MAX_WINDOWS = 600
"""A question about more windows is seldom asked again at once: it remembers nothing."""

FEW = 8
"""So few tallies of a version are not worth a sum."""

Sums = Mapping[Series, tuple[bytes, ...]]
"""By version (`replica` is ''), encoded tallies that add up to what all replicas counted."""


class WindowSums:
    """Adds up windows over replicas; another thread may add to the windows meanwhile."""

    def __init__(self, windows: Windows, limit_bytes: int = LIMIT_BYTES) -> None:
        self._windows = windows
        self._limit_bytes = limit_bytes
        self._known: OrderedDict[WindowKey, tuple[int, int, Sums]] = OrderedDict()
        """Of each window its revision, the bytes of what is remembered, and the sums."""
        self._bytes = 0
        self._lock = Lock()

    def between(self, starts: range) -> Iterator[tuple[int, Series, bytes]]:
        """(start, version, encoded tally) of the windows, as long as their steps, that start then."""
        for start in starts:
            for series, parts in self.of(WindowKey(starts.step, start)).items():
                for encoded in parts:
                    yield start, series, encoded

    def of(self, window: WindowKey) -> Sums:
        """What each version did in a window; nothing where there is none."""
        with self._lock:
            return self._of(window)

    def _of(self, window: WindowKey) -> Sums:
        revision = self._windows.revision(
            window
        )  # first: what changes after it is seen the next time
        known = self._known.get(window)
        if known is not None and known[0] == revision:
            self._known.move_to_end(window)
            return known[2]
        sums, size = self._add_up(window)
        self._remember(window, revision, size, sums)
        return sums

    def _add_up(self, window: WindowKey) -> tuple[Sums, int]:
        parts: dict[Series, list[bytes]] = defaultdict(list)
        for _, series, encoded in self._windows.between(*window, window.start):
            parts[series._replace(replica="")].append(encoded)
        sums = {
            series: (encoding.sum_of(each),) if len(each) >= FEW else tuple(each)
            for series, each in parts.items()
        }
        size = sum(len(sums[series][0]) for series, each in parts.items() if len(each) >= FEW)
        return sums, size + sum(map(len, sums.values())) * 100

    def _remember(self, window: WindowKey, revision: int, size: int, sums: Sums) -> None:
        if (before := self._known.pop(window, None)) is not None:
            self._bytes -= before[1]
        if not revision:
            return
        self._known[window] = revision, size, sums
        self._bytes += size
        while self._bytes > self._limit_bytes:
            _, (_, freed, _) = self._known.popitem(last=False)
            self._bytes -= freed
