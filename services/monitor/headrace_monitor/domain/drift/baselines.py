"""Baselines: the bins of an aspect brought together in at most 68 groups, and a reference in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.data_profiles.binning import limits_of
from headrace.data_profiles.layouts import BinKind, Bins
from headrace.data_profiles.profiles import AspectKey
from headrace_monitor.domain.drift.events import VALUES, Ints, Span
from headrace_monitor.domain.drift.findings import ReferenceSource
from headrace_monitor.domain.drift.proportion_bounds import Floats

STRETCHES = 64
"""So many groups a field's values are kept in, each with about as many of the reference's rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """How one aspect of one field looked, by group."""

    key: AspectKey
    groups: Ints
    """The group of each bin."""
    counts: Ints
    """The reference's rows by group."""
    values: Floats | None
    """A value of each group, ascending, where they are ordered; the first two mean nothing."""
    limits: tuple[float, ...] = ()
    """Of ordered groups: the limits between the stretches, one more than those."""
    labels: tuple[str, ...] = ()
    """Of others: the labels of the groups between the second and the last."""
    source: ReferenceSource = ReferenceSource.FIRST_ROWS
    origin: str = ""

    @property
    def is_ordered(self) -> bool:
        """Its values are numbers."""
        return self.values is not None

    @property
    def rows(self) -> int:
        """The rows that it is of."""
        return int(self.counts.sum())

    def span(self, first: int) -> Span:
        """Its groups in a panel in which `first` come before them."""
        return Span(first, self.counts.size, self.is_ordered)

    def grouped(self, counts: Ints) -> Ints:
        """Counts by bin as counts by group."""
        return np.bincount(self.groups, counts, self.counts.size).astype(np.int64)


def baseline_of(
    key: AspectKey,
    bins: Bins,
    counts: Ints,
    source: ReferenceSource = ReferenceSource.FIRST_ROWS,
    origin: str = "",
) -> Baseline:
    """Bring the bins together in groups, so that each holds about as many of the rows `counts`."""
    if bins.kind is BinKind.LABELS:
        return _of_labels(key, bins.labels, counts, source, origin)
    return _of_numbers(key, limits_of(bins), counts, source, origin)


def _of_labels(
    key: AspectKey, labels: tuple[str, ...], counts: Ints, source: ReferenceSource, origin: str
) -> Baseline:
    """The most frequent labels stay; the rest of them become one group before that of all others."""
    of_labels = counts[VALUES : VALUES + len(labels)]
    kept = np.sort(np.argsort(-of_labels, kind="stable")[:STRETCHES])
    names = tuple(labels[place] for place in kept)
    has_rest = len(labels) > STRETCHES
    group = np.full(len(labels), VALUES + len(names), np.int64)
    group[kept] = VALUES + np.arange(len(names))
    other = VALUES + len(names) + has_rest
    groups = np.concatenate(([0, 1], group, [other]))
    summed = np.bincount(groups, counts, other + 1).astype(np.int64)
    if has_rest:
        names += (f"{len(labels) - STRETCHES} rarer ones",)
    return Baseline(key, groups, summed, None, (), names, source, origin)


def _of_numbers(
    key: AspectKey, limits: Floats, counts: Ints, source: ReferenceSource, origin: str
) -> Baseline:
    """`limits` are those of the bins of values, the outermost of which may be infinite."""
    of_values = counts[VALUES:]
    used = np.flatnonzero(of_values)
    low, high = (int(used[0]), int(used[-1])) if used.size else (0, of_values.size - 1)
    inner = of_values[low : high + 1]
    stretch = _stretches(inner)
    size = int(stretch[-1]) + 1
    group = np.concatenate(
        (
            np.full(low, VALUES, np.int64),
            VALUES + 1 + stretch,
            np.full(of_values.size - high - 1, VALUES + 1 + size, np.int64),
        )
    )
    groups = np.concatenate(([0, 1], group))
    summed = np.bincount(groups, counts, VALUES + size + 2).astype(np.int64)
    starts = low + np.flatnonzero(np.diff(stretch, prepend=-1))
    edges = np.concatenate((limits[starts], limits[high + 1 : high + 2]))
    values = _values(limits[low : high + 2], inner, stretch)
    return Baseline(key, groups, summed, values, tuple(edges.tolist()), (), source, origin)


def _stretches(counts: Ints) -> Ints:
    """The stretch of each bin, from 0 without a gap: ends where another 64th of the rows is full."""
    if counts.size <= STRETCHES:
        return np.arange(counts.size)
    before = np.cumsum(counts) - counts
    share = before * STRETCHES // max(1, int(counts.sum()))
    return np.cumsum(np.diff(share, prepend=share[0]) > 0)


def _values(limits: Floats, counts: Ints, stretch: Ints) -> Floats:
    """For each group the mean middle of its bins, by their rows; outside, the nearest end."""
    lows = np.where(np.isfinite(limits[:-1]), limits[:-1], limits[1:])
    highs = np.where(np.isfinite(limits[1:]), limits[1:], limits[:-1])
    middles = np.where(np.isfinite(lows), lows / 2, 0) + np.where(np.isfinite(highs), highs / 2, 0)
    weights = np.maximum(counts, 1e-6) / max(1, int(counts.sum()))
    inner = np.bincount(stretch, middles * weights) / np.bincount(stretch, weights)
    low = lows[0] if np.isfinite(lows[0]) else inner[0]
    high = highs[-1] if np.isfinite(highs[-1]) else inner[-1]
    return np.concatenate(([0.0, 0.0, low], inner, [high]))
