"""Effect sizes: how far the shares of two samples are from one another, whatever the evidence says."""

from __future__ import annotations

import numpy as np

from headrace_monitor.domain.drift.events import Ints
from headrace_monitor.domain.drift.findings import Effects
from headrace_monitor.domain.drift.proportion_bounds import Floats

PSI_GROUPS = 10
"""The rules of thumb for PSI, 0.1 and 0.25, are of 10 groups; more groups give more for the same change."""


def effects_of(reference: Ints, rows: Ints, values: Floats | None) -> Effects:
    """Compare counts by group; `values`, the mean value of each group, where the groups are ordered."""
    if not reference.sum() or not rows.sum():
        return Effects()
    expected, actual = reference / reference.sum(), rows / rows.sum()
    return Effects(
        psi(reference, rows, is_ordered=values is not None),
        jensen_shannon(expected, actual),
        _distance(expected, actual, is_ordered=values is not None),
        None if values is None else wasserstein(expected, actual, values),
    )


def psi(reference: Ints, rows: Ints, *, is_ordered: bool) -> float:
    """The population stability index; half a row is added to each group, so that none is empty."""
    if is_ordered:
        cumulated = np.cumsum(reference)
        of_group = np.minimum(
            (cumulated - reference / 2) * PSI_GROUPS // cumulated[-1], PSI_GROUPS - 1
        ).astype(np.int64)
        reference = np.bincount(of_group, reference, PSI_GROUPS)
        rows = np.bincount(of_group, rows, PSI_GROUPS)
    used = (reference > 0) | (rows > 0)
    expected, actual = reference[used] + 0.5, rows[used] + 0.5
    expected, actual = expected / expected.sum(), actual / actual.sum()
    return float(((actual - expected) * np.log(actual / expected)).sum())


def jensen_shannon(expected: Floats, actual: Floats) -> float:
    """Jensen and Shannon's distance to the base 2: the root of their divergence."""
    middle = (expected + actual) / 2
    return float(np.sqrt(max(0.0, (_bits(expected, middle) + _bits(actual, middle)) / 2)))


def _bits(share: Floats, other: Floats) -> float:
    used = share > 0
    return float((share[used] * np.log2(share[used] / other[used])).sum())


def _distance(expected: Floats, actual: Floats, *, is_ordered: bool) -> float:
    if is_ordered:
        return float(np.abs(np.cumsum(expected - actual)).max())
    return float(np.abs(expected - actual).sum() / 2)


def wasserstein(expected: Floats, actual: Floats, values: Floats) -> float:
    """How far the mass moved, in standard deviations of the reference.

    Each group's mass lies at its value, so what is outside of the reference counts as if at its end.
    """
    values = values / (float(np.abs(values).max()) or 1.0)  # squares of the largest floats are none
    mean = float((expected * values).sum())
    sigma = float(np.sqrt((expected * (values - mean) ** 2).sum()))
    moved = float((np.abs(np.cumsum(expected - actual))[:-1] * np.diff(values)).sum())
    return moved / sigma if sigma > 0 else 0.0 if moved == 0 else float("inf")
