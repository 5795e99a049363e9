"""The area under the ROC curve, from scores in bins, with DeLong's interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from headrace_monitor.domain.quality.figures import ROC_AUC, Figure
from headrace_monitor.domain.quality.intervals import of_error, wilson

Counts = npt.NDArray[np.float64]


def area(negatives: Counts, positives: Counts) -> npt.NDArray[np.float64]:
    """Return the share of pairs that are in order, of counts by bin [..., bins]; ties count half.

    It is off by at most half the share of pairs that share a bin, which `binning_error` tells.
    """
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    pairs = negatives.sum(axis=-1) * positives.sum(axis=-1)
    return np.asarray((below * positives).sum(axis=-1) / np.maximum(pairs, 1.0))


def binning_error(negatives: Counts, positives: Counts) -> float:
    """Return how far the area can be from that of the exact scores."""
    pairs = negatives.sum() * positives.sum()
    return float((negatives * positives).sum() / pairs / 2) if pairs else 0.0


def auc_figure(negatives: Counts, positives: Counts, positive: str) -> Figure | None:
    """Return the area with its interval; None where one of the classes was never true."""
    lost, won = float(negatives.sum()), float(positives.sum())
    if not lost or not won:
        return None
    value = float(area(negatives, positives))
    low, high = of_error(value, _delong_error(negatives, positives, value))
    if low == high:  # every pair is in order: the scores do not say how far that is chance
        low, high = wilson(round(value) * min(lost, won), min(lost, won))
    slack = binning_error(negatives, positives)
    low, high = max(low - slack, 0.0), min(high + slack, 1.0)
    return Figure(ROC_AUC, value, low, high, int(lost + won), positive)


def _delong_error(negatives: Counts, positives: Counts, value: float) -> float:
    lost, won = negatives.sum(), positives.sum()
    below = (np.cumsum(negatives) - negatives / 2) / lost
    above = (won - np.cumsum(positives) + positives / 2) / won
    of_won = (positives * (below - value) ** 2).sum() / max(won - 1, 1) / won
    of_lost = (negatives * (above - value) ** 2).sum() / max(lost - 1, 1) / lost
    return math.sqrt(of_won + of_lost)
