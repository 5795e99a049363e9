"""Measures of numbers: how far answers are from the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headrace.lifecycle.evaluation.measures.measure import Floats, Interval, Places, ratio

_QUANTILES = {"error_p05": 0.05, "error_p50": 0.5, "error_p95": 0.95}


class NumberMeasure:
    """Errors (answer minus truth): means and quantiles, and R². Rows without answers are left out."""

    def __init__(self, truth: Floats, answers: Floats) -> None:
        self.truth, self.answers = truth, answers
        self.rows = len(truth)
        self._places = np.flatnonzero(np.isfinite(truth) & np.isfinite(answers))
        known = truth[self._places]
        self.errors = answers[self._places] - known
        self._known = known
        self._middle = known - (known.mean() if len(known) else 0.0)
        self._by_size = _Quantiles(np.abs(self.errors))
        self._by_error = _Quantiles(self.errors)

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values for weights of rows."""
        weights = weights if len(self._places) == self.rows else weights[:, self._places]
        total, errors = weights.sum(axis=1), self.errors
        square = ratio(weights @ errors**2, total, np.nan)
        found = {
            "mse": square,
            "rmse": np.sqrt(square),
            "mae": ratio(weights @ np.abs(errors), total, np.nan),
            "bias": ratio(weights @ errors, total, np.nan),
            "r2": self._r2(weights, square * total, total),
            "median_absolute_error": self._by_size.at(weights, 0.5),
            **{name: self._by_error.at(weights, part) for name, part in _QUANTILES.items()},
        }
        if not self._has_zeros:
            relative = np.abs(errors / self._known)
            found["mape"] = ratio(weights @ relative, total, np.nan)
        return found

    def closed_intervals(self) -> Mapping[str, Interval]:
        """There are none."""
        return {}

    def undefined(self) -> Mapping[str, str]:
        """The relative error has no value where the truth is 0, and R² none where it is constant."""
        found = {}
        if not len(self._places):
            names = ("mse", "rmse", "mae", "bias", "r2", "median_absolute_error", *_QUANTILES)
            found = dict.fromkeys(names, "no row has both a truth and an answer")
        elif self._is_constant:
            found["r2"] = "the target is constant"
        if self._has_zeros:
            found["mape"] = "the target is 0 in some rows"
        return found

    def take(self, places: Places) -> NumberMeasure:
        """The measure of some of the rows."""
        return NumberMeasure(self.truth[places], self.answers[places])

    @property
    def _has_zeros(self) -> bool:
        return not len(self._known) or bool((self._known == 0).any())

    @property
    def _is_constant(self) -> bool:
        return bool((self._known == self._known[0]).all())

    def _r2(self, weights: Floats, squares: Floats, total: Floats) -> Floats:
        if not len(self._known) or self._is_constant:
            return np.full(len(weights), np.nan)
        mean = ratio(weights @ self._middle, total)
        spread = weights @ self._middle**2 - mean**2 * total
        tiny = 1e-12 * float((self._middle**2).sum())
        return 1 - ratio(squares, np.where(spread > tiny, spread, 0.0), np.nan)


class _Quantiles:
    """Quantiles of values that are weighted: the smallest that has so much of the weight at or below it."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        self._values = values[self._order]

    def at(self, weights: Floats, part: float) -> Floats:
        """The quantile for each draw; between two values the mean where the weight splits there."""
        if not len(self._values):
            return np.full(len(weights), np.nan)
        below = np.cumsum(weights[:, self._order], axis=1)
        wanted = below[:, -1:] * part
        low = (below < wanted - 1e-9).sum(axis=1)
        high = (below <= wanted + 1e-9).sum(axis=1)
        last = len(self._values) - 1
        found = self._values[np.minimum(low, last)] + self._values[np.minimum(high, last)]
        return np.asarray(found / 2)
