"""The newest rows by group, over stretches of several lengths: minutes, an hour, a day."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headrace_monitor.domain.drift.events import Ints

SCALES = (5, 60, 1440)
"""In minutes. Of each scale the stretch under way is kept, and the one before it."""

_EMPTY = -(10**9)


class Stretch(NamedTuple):
    """Rows since the minute `since` (of the epoch)."""

    since: int
    counts: Ints


class RecentRows:
    """Counts by group, [scale, before or now, group]; a minute costs a few additions."""

    def __init__(self, groups: int) -> None:
        self.counts = np.zeros((len(SCALES), 2, groups), np.int64)
        self.starts = np.full((len(SCALES), 2), _EMPTY, np.int64)
        self._last = Stretch(_EMPTY, self.counts[0, 1].copy())

    def restore(self, counts: Ints, starts: Ints) -> None:
        """Take up what was stored."""
        self.counts, self.starts = counts, starts

    def add(self, counts: Ints, minute: int) -> None:
        """Count the rows of a minute."""
        self._last = Stretch(minute, counts)
        for place, length in enumerate(SCALES):
            start = minute - minute % length
            if start != self.starts[place, 1]:
                self.counts[place, 0], self.starts[place, 0] = (
                    self.counts[place, 1],
                    self.starts[place, 1],
                )
                self.counts[place, 1], self.starts[place, 1] = 0, start
            self.counts[place, 1] += counts

    def since(self, minute: int) -> Stretch:
        """The longest stretch that begins at `minute` or later; at least the last minute's rows."""
        stretches = [each for each in self._stretches() if each.since >= minute]
        return min(stretches, key=lambda each: each.since, default=self._last)

    def of_scale(self, minutes: int, now: int) -> Stretch:
        """The rows of the last `minutes` to twice as many, one of the scales."""
        place = SCALES.index(minutes)
        known = self.starts[place] > now - 2 * minutes
        starts = self.starts[place][known]
        since = int(starts.min()) if starts.size else now
        return Stretch(since, self.counts[place][known].sum(axis=0))

    def _stretches(self) -> list[Stretch]:
        found = []
        for place, length in enumerate(SCALES):
            before, now = self.starts[place]
            found.append(Stretch(int(now), self.counts[place, 1]))
            if before == now - length:
                found.append(Stretch(int(before), self.counts[place].sum(axis=0)))
        return found
