"""Measures that are means of something known of each row, or ratios of such means."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headrace.lifecycle.evaluation.intervals import wilson
from headrace.lifecycle.evaluation.measures.measure import Floats, Interval, Places, ratio


class MeanMeasure:
    """The mean of each of the given values of rows; rows where one is NaN are left out of its mean."""

    def __init__(self, of_rows: Mapping[str, Floats]) -> None:
        self.of_rows = dict(of_rows)
        self.rows = len(next(iter(self.of_rows.values())))

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values for weights of rows."""
        found = {}
        for name, values in self.of_rows.items():
            known = np.isfinite(values)
            total = weights @ known.astype(np.float64)
            found[name] = ratio_of(weights @ np.where(known, values, 0.0), total)
        return found

    def closed_intervals(self) -> Mapping[str, Interval]:
        """Wilson's, of what is 0 or 1 in each row."""
        found = {}
        for name, values in self.of_rows.items():
            known = values[np.isfinite(values)]
            if len(known) and np.isin(known, (0.0, 1.0)).all():
                found[name] = wilson(float(known.sum()), len(known))
        return found

    def undefined(self) -> Mapping[str, str]:
        """A mean over no rows has no value."""
        return {
            name: "it is defined for no row"
            for name, values in self.of_rows.items()
            if not np.isfinite(values).any()
        }

    def take(self, places: Places) -> MeanMeasure:
        """The measure of some of the rows."""
        return MeanMeasure({name: values[places] for name, values in self.of_rows.items()})


class TextScoreMeasure:
    """The mean log-probability of a token of the reference texts, and the perplexity that follows."""

    def __init__(self, sums: Floats, tokens: Floats) -> None:
        self._sums, self._tokens = sums, tokens
        """Of each row: the natural logarithms of its tokens' probabilities, added up, and their number."""
        self.rows = len(sums)

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values for weights of rows."""
        mean = ratio_of(weights @ self._sums, weights @ self._tokens)
        with np.errstate(over="ignore"):
            return {"logprob": mean, "perplexity": np.exp(-mean)}

    def closed_intervals(self) -> Mapping[str, Interval]:
        """There are none."""
        return {}

    def undefined(self) -> Mapping[str, str]:
        """Texts without tokens have no probability."""
        if self._tokens.any():
            return {}
        return dict.fromkeys(("logprob", "perplexity"), "the reference texts have no tokens")

    def take(self, places: Places) -> TextScoreMeasure:
        """The measure of some of the rows."""
        return TextScoreMeasure(self._sums[places], self._tokens[places])


def ratio_of(part: Floats, whole: Floats) -> Floats:
    """Part by whole, and NaN where the whole is nothing."""
    return ratio(part, whole, np.nan)
