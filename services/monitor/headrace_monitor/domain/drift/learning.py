"""Learns baselines from the first rows of a version or slice, where nothing better is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headrace.data_profiles.profiles import AspectKey, Counts
from headrace_monitor.domain.drift.events import Ints

ENOUGH_ROWS = 10_000
LEAST_ROWS = 1_000
LEARNING_NS = 3600 * 10**9


@dataclass(slots=True, eq=False)
class FirstRows:
    """Counts by bin, of which most are 0: only the others are kept."""

    began_ns: int
    """By the steady time."""
    rows: int = 0
    bins: dict[AspectKey, tuple[Ints, Ints, int]] = field(default_factory=dict)
    """By aspect: places, counts, and how many bins there are."""

    def add(self, rows: int, counts: Mapping[AspectKey, Counts]) -> None:
        """Count more rows."""
        self.rows += rows
        for key, more in counts.items():
            total = more.astype(np.int64)
            if key in self.bins:
                places, known, size = self.bins[key]
                total = np.pad(total, (0, max(0, size - total.size)))
                total[places] += known
            used = np.flatnonzero(total)
            self.bins[key] = (used, total[used], total.size)

    def is_enough(self, steady_ns: int) -> bool:
        """The rows suffice: many, or those of an hour."""
        old = steady_ns - self.began_ns >= LEARNING_NS
        return self.rows >= ENOUGH_ROWS or (old and self.rows >= LEAST_ROWS)

    def counts(self, key: AspectKey) -> Ints | None:
        """All bins of an aspect; None where no row had it."""
        if key not in self.bins:
            return None
        places, known, size = self.bins[key]
        total = np.zeros(size, np.int64)
        total[places] = known
        return total
