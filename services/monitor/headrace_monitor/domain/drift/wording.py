"""Says in a few words what changed in a field: `mean 3.1 → 4`, `missing 0 % → 12 %`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace_monitor.domain.drift.baselines import Baseline
from headrace_monitor.domain.drift.events import INFINITE, MISSING, VALUES, Ints
from headrace_monitor.domain.drift.findings import Concern
from headrace_monitor.domain.drift.proportion_bounds import Floats

_NOTABLE = 0.1
"""A mean is named where it moved by so many standard deviations of the reference."""


def change_of(baseline: Baseline, rows: Ints, concern: Concern) -> str:
    """What changed about `concern`, from the baseline to the rows, both by group."""
    if concern is Concern.MISSING:
        return f"missing {_shares(baseline.counts, rows, [MISSING])}"
    if concern is Concern.INFINITE:
        return f"infinite {_shares(baseline.counts, rows, [INFINITE])}"
    expected, actual = baseline.counts[VALUES:], rows[VALUES:]
    if concern is Concern.NEW_CATEGORY:
        return f"new categories {_shares(expected, actual, [expected.size - 1])}"
    if concern is Concern.OUT_OF_RANGE:
        return f"out of range {_shares(expected, actual, [0, expected.size - 1])}"
    if baseline.values is None:
        return _label_change(baseline.labels, expected, actual)
    return _number_change(baseline, baseline.values[VALUES:], expected, actual)


def _label_change(labels: Sequence[str], expected: Ints, actual: Ints) -> str:
    moved = np.abs(_share(expected) - _share(actual))[: len(labels)]
    if not moved.size:
        return ""
    most = int(moved.argmax())
    return f'"{labels[most]}" {_shares(expected, actual, [most])}'


def _number_change(baseline: Baseline, values: Floats, expected: Ints, actual: Ints) -> str:
    mean, sigma = _moments(values, expected)
    mean_now, sigma_now = _moments(values, actual)
    if abs(mean_now - mean) >= _NOTABLE * sigma:
        return f"mean {_number(mean)} → {_number(mean_now)}"
    if abs(sigma_now - sigma) >= _NOTABLE * sigma:
        return f"standard deviation {_number(sigma)} → {_number(sigma_now)}"
    most = int(np.abs(_share(expected) - _share(actual))[1:-1].argmax())
    low, high = baseline.limits[most : most + 2]
    return f"{_range(low, high)}: {_shares(expected, actual, [most + 1])}"


def _moments(values: Floats, counts: Ints) -> tuple[float, float]:
    share, scale = _share(counts), float(np.abs(values).max()) or 1.0
    values = values / scale  # squares of the largest floats are none
    mean = float((share * values).sum())
    return mean * scale, float(np.sqrt((share * (values - mean) ** 2).sum())) * scale


def _share(counts: Ints) -> Floats:
    return counts / max(1, int(counts.sum()))


def _shares(before: Ints, now: Ints, places: Sequence[int]) -> str:
    return f"{_percent(_share(before)[list(places)])} → {_percent(_share(now)[list(places)])}"


def _percent(shares: Floats) -> str:
    percent = 100 * float(shares.sum())
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def _range(low: float, high: float) -> str:
    """A value that makes up much of a reference has a bin of its own, which is no wider than a rounding."""
    first, last = _number(low), _number(high)
    return last if first == last else f"{first} to {last}"


def _number(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if 1000 <= abs(rounded) < 1e12 else f"{value:.3g}"
