"""Keeps sums of profiles by window of time: minutes while they are young, ten minutes later on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from headrace.data_profiles.profiles import ProfileKey
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.profiles.summed_profiles import Sum
from headrace_monitor.domain.telemetry.report import NANOSECONDS

MINUTE, TEN_MINUTES = 60, 600
MINUTES_KEPT_SECONDS = 2 * 3600
"""How long a minute is told apart from those around it."""


class WindowId(NamedTuple):
    """A window of `seconds` that began at `start` times as many: it covers (start, start + seconds]."""

    key: ProfileKey
    layout: str
    seconds: int
    start: int

    @property
    def start_ns(self) -> int:
        """Where it begins."""
        return self.start * self.seconds * NANOSECONDS

    @property
    def end_ns(self) -> int:
        """Where it ends."""
        return (self.start + 1) * self.seconds * NANOSECONDS


class ProfileWindows:
    """All windows, bounded in age and memory, and which of them differ from what is stored.

    Windows of each length are in the order in which they were opened: only the oldest are looked at.
    """

    def __init__(self, kept_seconds: int, limit_bytes: int) -> None:
        self._kept_ns = kept_seconds * NANOSECONDS
        self._limit = limit_bytes
        self._by_seconds: dict[int, dict[WindowId, Sum]] = {TEN_MINUTES: {}, MINUTE: {}}
        self.of_key: dict[ProfileKey, set[WindowId]] = {}
        """The windows of each version and slice that has any."""
        self.of_layout: Counter[str] = Counter()
        """How many there are in the bins of each layout."""
        self.size_bytes = 0
        self.changed: set[WindowId] = set()
        self.gone: set[WindowId] = set()

    def get(self, window: WindowId) -> Sum | None:
        """The sum of a window, if it is here."""
        return self._by_seconds[window.seconds].get(window)

    def add(self, key: ProfileKey, layout: str, end_ns: int, more: Sum) -> WindowId:
        """Count what ended then; the window in which it counts."""
        start = (end_ns - 1) // (MINUTE * NANOSECONDS)
        window = WindowId(key, layout, MINUTE, start)
        self._put(window, more)
        return window

    def restore(self, stored: Iterable[tuple[WindowId, Sum]]) -> None:
        """Take up what was stored."""
        for window, one in sorted(stored, key=lambda item: item[1].opened_steady_ns):
            self._set(window, one)

    def prune(self, moment: Moment) -> None:
        """Drop what is too old or has no room, the oldest first; put minutes of some age together."""
        minutes, tens = self._by_seconds[MINUTE], self._by_seconds[TEN_MINUTES]
        young_from = moment.steady_ns - MINUTES_KEPT_SECONDS * NANOSECONDS
        while minutes and (window := next(iter(minutes))):
            if minutes[window].opened_steady_ns >= young_from:
                break
            self._coarsen(window)
        kept_from = moment.steady_ns - self._kept_ns
        while tens and (window := next(iter(tens))):
            if tens[window].opened_steady_ns >= kept_from and self.size_bytes <= self._limit:
                break
            self._remove(window)
        while minutes and self.size_bytes > self._limit:
            self._remove(next(iter(minutes)))

    def _coarsen(self, window: WindowId) -> None:
        one = self._remove(window)
        start = window.start * MINUTE // TEN_MINUTES
        self._put(window._replace(seconds=TEN_MINUTES, start=start), one)

    def _put(self, window: WindowId, more: Sum) -> None:
        known = self.get(window)
        self._set(window, more if known is None else known.plus(more))
        self.changed.add(window)
        self.gone.discard(window)

    def _set(self, window: WindowId, summed: Sum) -> None:
        windows = self._by_seconds[window.seconds]
        known = windows.get(window)
        windows[window] = summed
        self.size_bytes += summed.size_bytes
        if known is not None:
            self.size_bytes -= known.size_bytes
            return
        self.of_key.setdefault(window.key, set()).add(window)
        self.of_layout[window.layout] += 1

    def _remove(self, window: WindowId) -> Sum:
        one = self._by_seconds[window.seconds].pop(window)
        self.size_bytes -= one.size_bytes
        self.of_layout[window.layout] -= 1
        windows = self.of_key[window.key]
        windows.discard(window)
        if not windows:
            del self.of_key[window.key]
        self.changed.discard(window)
        self.gone.add(window)
        return one
