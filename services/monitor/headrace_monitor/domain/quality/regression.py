"""Figures of numbers, from sums of their errors."""

from __future__ import annotations

import math
from collections.abc import Iterator

from headrace_monitor.domain.quality.figures import BIAS, MAE, MSE, RMSE, Figure
from headrace_monitor.domain.quality.intervals import normal
from headrace_monitor.domain.quality.tallies import Tally


def number_figures(tally: Tally) -> Iterator[Figure]:
    """Yield the mean square of errors, its root, their mean absolute, and their mean: the bias."""
    count, sums = tally.numbers, tally.sums
    if count <= 0:
        return
    square = max(sums.square / count, 0.0)
    low, high = (max(bound, 0.0) for bound in normal(sums.square, sums.fourth, count))
    yield Figure(MSE, square, low, high, count)
    yield Figure(RMSE, math.sqrt(square), math.sqrt(low), math.sqrt(high), count)
    low, high = normal(sums.absolute, sums.square, count)
    yield Figure(MAE, sums.absolute / count, max(low, 0.0), high, count)
    yield Figure(BIAS, sums.error / count, *normal(sums.error, sums.square, count), count)
