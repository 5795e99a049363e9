"""A mergeable histogram of durations with a bounded relative error.

Buckets grow by 2**(1/16) from 1 µs to 18 minutes: the exponential histogram of the OpenTelemetry metrics
data model at scale 4. Two histograms merge by adding their counts, and a quantile read from the merged
one is within 2.2 % of the exact quantile of all values, which no average of quantiles is. Every
sixteenth edge is a power of two nanoseconds, so cumulative counts at those edges are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

BUCKETS_PER_OCTAVE = 16
LOWEST_EXPONENT = 10
HIGHEST_EXPONENT = 40
BUCKET_COUNT = (HIGHEST_EXPONENT - LOWEST_EXPONENT) * BUCKETS_PER_OCTAVE + 1
"""Bucket i holds values in (edge[i-1], edge[i]] ns; the first from 0, the last to infinity."""

EDGES_NS: npt.NDArray[np.float64] = 2.0 ** (
    LOWEST_EXPONENT + np.arange(BUCKET_COUNT - 1) / BUCKETS_PER_OCTAVE
)
"""Upper edges in nanoseconds of all buckets but the last."""

OCTAVES_SECONDS: tuple[float, ...] = tuple((EDGES_NS[::BUCKETS_PER_OCTAVE] / 1e9).tolist())
"""The edges at powers of two nanoseconds, in seconds."""


MAX_COUNT = 2**53
"""What a bucket counts to, and no further: floats hold every whole number up to here, and all buckets
together stay below 2**63."""

MAX_SUM_NS = 2**80
"""What a sum of durations grows to: 38 million years."""

NO_COUNTS: npt.NDArray[np.int64] = np.zeros(BUCKET_COUNT, dtype=np.int64)
NO_COUNTS.flags.writeable = False


@dataclass(slots=True)
class Histogram:
    """Counts of durations by bucket, with their exact sum."""

    counts: npt.NDArray[np.int64] = field(default_factory=lambda: NO_COUNTS)
    """Read only: an empty histogram, of which a replica has many, shares its zeros with all others."""
    sum_ns: int = 0

    @property
    def count(self) -> int:
        """Return how many durations were recorded."""
        return int(self.counts.sum())

    def record(
        self, durations_ns: npt.NDArray[Any], times: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Add durations (int64 or float64 [n], nanoseconds) in one vectorised step.

        With `times` [n], duration i counts `times[i]` times.
        """
        buckets = np.searchsorted(EDGES_NS, durations_ns, side="left")
        if times is None:
            self.add_counts(np.bincount(buckets, minlength=BUCKET_COUNT))
            self.sum_ns += int(durations_ns.sum())
        else:
            np.add.at(self._own(), buckets, times)
            self.sum_ns += int(durations_ns @ times)

    def record_one(self, duration_ns: int, times: int = 1) -> None:
        """Add one duration, or the same one several times."""
        self._own()[int(np.searchsorted(EDGES_NS, duration_ns, side="left"))] += times
        self.sum_ns += duration_ns * times

    def merge(self, other: Histogram) -> None:
        """Add another histogram's counts to this one's; at MAX_COUNT and MAX_SUM_NS they stay."""
        if other.counts is not NO_COUNTS:
            self.add_counts(other.counts)
        self.sum_ns = min(self.sum_ns + other.sum_ns, MAX_SUM_NS)

    def plus(self, other: Histogram) -> Histogram:
        """Add another histogram's counts to these in a new one; at MAX_COUNT and MAX_SUM_NS they stay."""
        counts = self.counts + other.counts
        np.minimum(counts, MAX_COUNT, out=counts)
        return Histogram(counts, min(self.sum_ns + other.sum_ns, MAX_SUM_NS))

    def add_counts(self, counts: npt.NDArray[np.int64]) -> None:
        """Add counts by bucket, int64 [BUCKET_COUNT], each from 0 to MAX_COUNT."""
        own = self._own()
        own += counts
        np.minimum(own, MAX_COUNT, out=own)

    def _own(self) -> npt.NDArray[np.int64]:
        if self.counts is NO_COUNTS:
            self.counts = np.zeros(BUCKET_COUNT, dtype=np.int64)
        return self.counts

    def quantile_ns(self, quantile: float) -> float:
        """The duration that a share `quantile` (0 to 1) of all stayed at or below; 0 if there are none.

        Given as the geometric middle of its bucket, so at most 2.2 % off.
        """
        total = self.count
        if total == 0:
            return 0.0
        rank = max(1, int(np.ceil(quantile * total)))
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        return float(EDGES_NS[min(index, BUCKET_COUNT - 2)] * 2.0 ** (-0.5 / BUCKETS_PER_OCTAVE))

    def octaves(self) -> list[tuple[float, int]]:
        """(upper edge in seconds, how many were at or below it) at every power of two nanoseconds."""
        return list(zip(OCTAVES_SECONDS, self.octave_counts(), strict=True))

    def octave_counts(self) -> list[int]:
        """Return how many were at or below each of OCTAVES_SECONDS."""
        counts: list[int] = np.cumsum(self.counts)[: BUCKET_COUNT - 1 : BUCKETS_PER_OCTAVE].tolist()
        return counts

    def sparse(self) -> dict[int, int]:
        """The counts of the buckets that are not empty, by index."""
        return {int(index): int(self.counts[index]) for index in np.flatnonzero(self.counts)}

    @classmethod
    def from_sparse(cls, counts: Mapping[int, int], sum_ns: int) -> Histogram:
        """The histogram that `sparse()` and `sum_ns` describe; indexes out of range count as the last."""
        histogram = cls(sum_ns=sum_ns)
        if not counts:
            return histogram
        dense = [0] * BUCKET_COUNT  # whole numbers of Python do not wrap
        for index, count in counts.items():
            dense[min(max(index, 0), BUCKET_COUNT - 1)] += count
        if max(dense) > MAX_COUNT:
            dense = [min(count, MAX_COUNT) for count in dense]
        histogram.counts = np.array(dense, dtype=np.int64)
        return histogram


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """A new histogram of everything that the given ones hold."""
    total = Histogram()
    for histogram in histograms:
        total.merge(histogram)
    return total
