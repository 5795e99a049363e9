"""Baselines bring bins together in groups that are the same for the reference and for later rows."""

from __future__ import annotations

import numpy as np

from headrace.data_profiles.layouts import BinKind, Bins
from headrace.data_profiles.profiles import AspectKey
from headrace_monitor.domain.drift.baselines import STRETCHES, baseline_of

KEY = AspectKey("input x", "value")


def test_many_fine_bins_become_64_groups_of_alike_many_rows() -> None:
    """Bins without rows outside of those of the reference count as below and above it."""
    edges = np.linspace(-10, 10, 2001)
    values = np.random.default_rng(1).normal(size=10_000)
    counts = np.concatenate(([7, 1], np.bincount(np.searchsorted(edges, values), minlength=2002)))
    baseline = baseline_of(KEY, Bins(BinKind.EDGES, tuple(edges)), counts)
    assert STRETCHES + 4 >= baseline.counts.size > STRETCHES - 4
    assert [7, 1, 0] == baseline.counts[:3].tolist()
    assert 0 == baseline.counts[-1]
    assert counts.sum() == baseline.counts.sum()
    assert baseline.counts[3:-1].max() < 2 * 10_000 / STRETCHES
    assert baseline.values is not None
    assert (np.diff(baseline.values[2:]) > 0).all()
    assert len(baseline.limits) == baseline.counts.size - 3


def test_later_rows_fall_into_the_same_groups() -> None:
    """What is above all of the reference is counted apart."""
    bins = Bins(BinKind.EDGES, (0.0, 1.0, 2.0))
    baseline = baseline_of(KEY, bins, np.array([0, 0, 0, 50, 50, 0]))
    assert [1, 2, 3, 4, 5, 6] == baseline.grouped(np.array([1, 2, 3, 4, 5, 6])).tolist()


def test_the_rarest_of_many_labels_are_one_group() -> None:
    """All others stay apart from them: they are new."""
    labels = tuple(f"l{number}" for number in range(100))
    counts = np.concatenate(([0, 0], np.arange(100), [3]))
    baseline = baseline_of(KEY, Bins(BinKind.LABELS, labels=labels), counts)
    assert baseline.values is None
    assert "36 rarer ones" == baseline.labels[-1]
    assert [sum(range(36)), 3] == baseline.counts[-2:].tolist()
    assert counts.sum() == baseline.counts.sum()
