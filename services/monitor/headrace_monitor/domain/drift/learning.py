"""Learns baselines from the first rows of a version or slice, where nothing better is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from headrace.data_profiles.profiles import AspectKey, Counts
from headrace_monitor.domain.drift.events import Ints

LEAST_ROWS = 1_000
LONGEST_NS = 3600 * 10**9


class UsedBins(NamedTuple):
    """Counts by bin, of the bins that have some."""

    places: Ints
    counts: Ints
    size: int
    """How many bins there are."""

    def all(self) -> Ints:
        """The counts of all bins."""
        total = np.zeros(self.size, np.int64)
        total[self.places] = self.counts
        return total


def used_bins(counts: Ints) -> UsedBins:
    """Leave out the empty ones."""
    places = np.flatnonzero(counts)
    return UsedBins(places, counts[places].astype(np.int64), counts.size)


@dataclass(frozen=True, slots=True)
class LearningRules:
    """When first rows suffice: as many as that and so long, or those of an hour."""

    rows: int = 10_000
    minutes: int = 10


@dataclass(slots=True, eq=False)
class FirstRows:
    """Counts by bin. Most bins are empty, and only the others are kept."""

    began_ns: int
    """By the steady time."""
    rows: int = 0
    aspects: dict[AspectKey, UsedBins] = field(default_factory=dict)

    def add(self, rows: int, counts: Mapping[AspectKey, Counts]) -> None:
        """Count more rows."""
        self.rows += rows
        for key, more in counts.items():
            known = self.aspects.get(key)
            total = more.astype(np.int64)
            if known is not None:
                total = np.pad(total, (0, max(0, known.size - total.size)))
                total[known.places] += known.counts
            self.aspects[key] = used_bins(total)

    def suffice(self, rules: LearningRules, steady_ns: int) -> bool:
        """They are enough to compare with."""
        least_ns = rules.minutes * 60 * 10**9
        age_ns = steady_ns - self.began_ns
        if self.rows >= rules.rows:
            return age_ns >= least_ns
        return self.rows >= LEAST_ROWS and age_ns >= max(least_ns, LONGEST_NS)

    def counts(self, key: AspectKey) -> Ints | None:
        """Those of all bins of an aspect; None where no row had it."""
        known = self.aspects.get(key)
        return None if known is None else known.all()

    @property
    def size_bytes(self) -> int:
        """Its memory."""
        return sum(each.places.nbytes + each.counts.nbytes + 300 for each in self.aspects.values())
