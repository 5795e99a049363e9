"""A mergeable histogram of durations with a bounded relative error.

Buckets grow by 2**(1/64) from 1 µs to 18 minutes: the exponential histogram of the OpenTelemetry metrics
data model at scale 6. Two histograms merge by adding their counts, and a quantile read from the merged
one is within 0.55 % of the exact quantile of all values, which no average of quantiles is. Every
sixty-fourth edge is a power of two nanoseconds, so cumulative counts at those edges are exact.

What is shorter or longer than that counts in the first or the last bucket, and is told apart: of a quantile
there, the edge is all that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

BUCKETS_PER_OCTAVE = 64
LOWEST_EXPONENT = 10
HIGHEST_EXPONENT = 40
BUCKET_COUNT = (HIGHEST_EXPONENT - LOWEST_EXPONENT) * BUCKETS_PER_OCTAVE + 1
"""Bucket i holds values in (edge[i-1], edge[i]] ns; the first from 0, the last to infinity."""

EDGES_NS: npt.NDArray[np.float64] = 2.0 ** (
    LOWEST_EXPONENT + np.arange(BUCKET_COUNT - 1) / BUCKETS_PER_OCTAVE
)
"""Upper edges in nanoseconds of all buckets but the last."""

RELATIVE_ERROR = 2.0 ** (0.5 / BUCKETS_PER_OCTAVE) - 1
"""Of a quantile in the range, at most: 0.54 %."""

OCTAVES_SECONDS: tuple[float, ...] = tuple((EDGES_NS[::BUCKETS_PER_OCTAVE] / 1e9).tolist())
"""The edges at powers of two nanoseconds, in seconds."""

COARSE_BUCKETS_PER_OCTAVE = 16
_FINE = BUCKETS_PER_OCTAVE // COARSE_BUCKETS_PER_OCTAVE
COARSE_BUCKET_COUNT = (BUCKET_COUNT - 1) // _FINE + 1
"""Buckets of scale 4, which earlier versions counted in: each is four of those of now."""

COARSE_PLACES: npt.NDArray[np.int64] = np.maximum(_FINE * np.arange(COARSE_BUCKET_COUNT) - 2, 0)
COARSE_PLACES[-1] = BUCKET_COUNT - 1
COARSE_PLACES.flags.writeable = False
"""Where counts of scale 4 are placed: beside the middle of their bucket, so a quantile is within 2.8 %."""

MAX_COUNT = 2**53
"""What a bucket counts to, and no further: floats hold every whole number up to here, and all buckets
together stay below 2**63."""

MAX_SUM_NS = 2**80
"""What a sum of durations grows to: 38 million years."""

Counts = npt.NDArray[np.int64]

NO_COUNTS: Counts = np.zeros(0, dtype=np.int64)
NO_COUNTS.flags.writeable = False

_FEW = BUCKETS_PER_OCTAVE
"""So many durations are added one by one; more of them as a whole array."""


@dataclass(slots=True)
class Histogram:
    """Counts of durations by bucket, with their exact sum.

    It holds the octaves between its shortest and its longest duration: half a kilobyte each, of which the
    times of a version have four to eight; an empty one holds nothing.
    """

    counts: Counts = field(default_factory=lambda: NO_COUNTS)
    """Of the buckets from `first` on; all others are empty. To be read only."""
    sum_ns: int = 0
    first: int = 0

    @classmethod
    def of_all_buckets(cls, counts: Counts, sum_ns: int = 0) -> Histogram:
        """Make one of the counts of all buckets, int64 [BUCKET_COUNT]; those of no use are let go."""
        used = np.flatnonzero(counts)
        if not len(used):
            return cls(sum_ns=sum_ns)
        first, end = _octaves(int(used[0]), int(used[-1]))
        return cls(counts[first:end].copy(), sum_ns, first)

    @property
    def count(self) -> int:
        """Return how many durations were recorded."""
        return int(self.counts.sum())

    @property
    def is_empty(self) -> bool:
        """True where nothing was recorded."""
        return self.sum_ns == 0 and not self.counts.any()

    @property
    def below_range(self) -> int:
        """Return how many were shorter than is told apart, 1.024 µs: of them only that is known."""
        return int(self.counts[0]) if self.first == 0 and len(self.counts) else 0

    @property
    def above_range(self) -> int:
        """Return how many were longer than is told apart, 18 minutes."""
        last = BUCKET_COUNT - 1 - self.first
        return int(self.counts[last]) if last < len(self.counts) else 0

    def record(
        self, durations_ns: npt.NDArray[Any], times: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Add durations (int64 or float64 [n], nanoseconds) in one vectorised step.

        With `times` [n], duration i counts `times[i]` times.
        """
        if not len(durations_ns):
            return
        buckets = np.searchsorted(EDGES_NS, durations_ns, side="left")
        own = self._covering(int(buckets.min()), int(buckets.max()))
        buckets -= self.first
        if times is not None:
            np.add.at(own, buckets, times)
            self.sum_ns += int(durations_ns @ times)
        else:
            if len(buckets) > _FEW:
                own += np.bincount(buckets, minlength=len(own))
            else:
                np.add.at(own, buckets, 1)
            self.sum_ns += int(durations_ns.sum())

    def record_one(self, duration_ns: int, times: int = 1) -> None:
        """Add one duration, or the same one several times."""
        bucket = int(np.searchsorted(EDGES_NS, duration_ns, side="left"))
        self._covering(bucket, bucket)[bucket - self.first] += times
        self.sum_ns += duration_ns * times

    def merge(self, other: Histogram) -> None:
        """Add another histogram's counts to this one's; at MAX_COUNT and MAX_SUM_NS they stay."""
        if len(other.counts):
            end = other.first + len(other.counts)
            own = self._covering(other.first, end - 1)
            part = own[other.first - self.first : end - self.first]
            part += other.counts
            np.minimum(part, MAX_COUNT, out=part)
        self.sum_ns = min(self.sum_ns + other.sum_ns, MAX_SUM_NS)

    def plus(self, other: Histogram) -> Histogram:
        """Add another histogram's counts to these in a new one; at MAX_COUNT and MAX_SUM_NS they stay."""
        total = Histogram(self.counts.copy(), self.sum_ns, self.first)
        total.merge(other)
        return total

    def minus(self, part: Histogram) -> Histogram:
        """Return what is left of this one without those of `part`, which are in it."""
        counts = np.maximum(self.all_buckets() - part.all_buckets(), 0)
        return Histogram.of_all_buckets(counts, max(0, self.sum_ns - part.sum_ns))

    def since(self, before: Histogram) -> Histogram:
        """What was recorded in this one since it was as `before`."""
        return Histogram.of_all_buckets(self.all_buckets() - before.all_buckets())

    def _covering(self, lowest: int, highest: int) -> Counts:
        """Hold the buckets from `lowest` to `highest` too, and give the counts of all that are held."""
        held = self.first + len(self.counts)
        if len(self.counts) and self.first <= lowest and highest < held:
            return self.counts
        if len(self.counts):
            lowest, highest = min(lowest, self.first), max(highest, held - 1)
        first, end = _octaves(lowest, highest)
        counts = np.zeros(end - first, dtype=np.int64)
        if len(self.counts):
            counts[self.first - first : held - first] = self.counts
        self.counts, self.first = counts, first
        return counts

    def quantile_ns(self, quantile: float) -> float:
        """The duration that a share `quantile` (0 to 1) of all stayed at or below; 0 if there are none.

        Given as the geometric middle of its bucket, so at most 0.55 % off; out of the range, as its edge.
        """
        total = self.count
        if total == 0:
            return 0.0
        rank = max(1, int(np.ceil(quantile * total)))
        index = self.first + int(np.searchsorted(np.cumsum(self.counts), rank))
        if not 0 < index < BUCKET_COUNT - 1:
            return float(EDGES_NS[min(index, BUCKET_COUNT - 2)])
        return float(EDGES_NS[index] * 2.0 ** (-0.5 / BUCKETS_PER_OCTAVE))

    def octaves(self) -> list[tuple[float, int]]:
        """(upper edge in seconds, how many were at or below it) at every power of two nanoseconds."""
        return list(zip(OCTAVES_SECONDS, self.octave_counts(), strict=True))

    def octave_counts(self) -> list[int]:
        """Return how many were at or below each of OCTAVES_SECONDS."""
        sums = np.cumsum(self.all_buckets())
        counts: list[int] = sums[: BUCKET_COUNT - 1 : BUCKETS_PER_OCTAVE].tolist()
        return counts

    def all_buckets(self) -> Counts:
        """The counts of all buckets, int64 [BUCKET_COUNT]: a copy."""
        counts = np.zeros(BUCKET_COUNT, dtype=np.int64)
        counts[self.first : self.first + len(self.counts)] = self.counts
        return counts

    def used(self) -> tuple[Counts, Counts]:
        """The indexes of the buckets that are not empty, and their counts."""
        places = np.flatnonzero(self.counts)
        return places + self.first, self.counts[places]

    def sparse(self) -> dict[int, int]:
        """The counts of the buckets that are not empty, by index."""
        indexes, counts = self.used()
        return dict(zip(indexes.tolist(), counts.tolist(), strict=True))

    def coarse(self) -> dict[int, int]:
        """The counts of the buckets of scale 4 that are not empty, by index: exact, since each is four."""
        indexes, counts = self.used()
        if not len(indexes):
            return {}
        sums = np.minimum(np.bincount(-(-indexes // _FINE), counts), MAX_COUNT).astype(np.int64)
        coarse = np.flatnonzero(sums)
        return dict(zip(coarse.tolist(), sums[coarse].tolist(), strict=True))

    @classmethod
    def from_sparse(cls, counts: Mapping[int, int], sum_ns: int) -> Histogram:
        """The histogram that `sparse()` and `sum_ns` describe; indexes out of range count as the last."""
        dense = _dense(counts, BUCKET_COUNT)
        return cls.of_all_buckets(np.array(dense, dtype=np.int64), sum_ns)

    @classmethod
    def from_coarse(cls, counts: Mapping[int, int], sum_ns: int) -> Histogram:
        """A histogram of counts of scale 4 by index; indexes out of range count as the last."""
        counted = np.zeros(BUCKET_COUNT, dtype=np.int64)
        counted[COARSE_PLACES] = _dense(counts, COARSE_BUCKET_COUNT)
        return cls.of_all_buckets(counted, sum_ns)


def _octaves(lowest: int, highest: int) -> tuple[int, int]:
    """The first and the end of the whole octaves that have these buckets."""
    end = (highest // BUCKETS_PER_OCTAVE + 1) * BUCKETS_PER_OCTAVE
    return lowest // BUCKETS_PER_OCTAVE * BUCKETS_PER_OCTAVE, min(end, BUCKET_COUNT)


def _dense(counts: Mapping[int, int], length: int) -> list[int]:
    dense = [0] * length  # whole numbers of Python do not wrap
    for index, count in counts.items():
        dense[min(max(index, 0), length - 1)] += count
    return [min(count, MAX_COUNT) for count in dense]


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """A new histogram of everything that the given ones hold."""
    total = Histogram()
    for histogram in histograms:
        total.merge(histogram)
    return total
