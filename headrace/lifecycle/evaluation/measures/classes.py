"""Measures of classes: which was answered, beside which was true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from headrace.lifecycle.evaluation.intervals import wilson
from headrace.lifecycle.evaluation.measures.measure import (
    Floats,
    Interval,
    Places,
    Sums,
    ones,
    ratio,
)
from headrace.lifecycle.evaluation.measures.metric_names import class_suffixes


class ClassMeasure:
    """Accuracy, precision, recall and F1; a row without an answer (-1) is wrong, and of no class.

    Means over classes are over those that were answered or true; a share of nothing is 0, as scikit-learn's
    with `zero_division=0`.
    """

    def __init__(
        self, truth: Places, answered: Places, classes: Sequence[str], positive: int = -1
    ) -> None:
        self.truth, self.answered, self.classes = truth, answered, tuple(classes)
        self.rows = len(truth)
        self._positive = positive
        """Of two classes, the one whose figures have no class in their name; -1 for none."""
        count = len(self.classes)
        self._hits = Sums(np.where(truth == answered, truth, -1), count)
        self._answered, self._truth = Sums(answered, count), Sums(truth, count)
        self.present = np.union1d(truth, answered[answered >= 0]).astype(np.intp)
        self._suffixes = class_suffixes(self.classes)

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values for weights of rows."""
        hits, answered, actual = (
            sums.of(weights)[:, self.present] for sums in (self._hits, self._answered, self._truth)
        )
        total = weights.sum(axis=1)
        found = {
            "accuracy": hits.sum(axis=1) / total,
            "balanced_accuracy": _mean_of_defined(ratio(hits, actual, np.nan)),
            "mcc": _matthews(hits.sum(axis=1), answered, actual, total),
        }
        return found | self._by_class(hits, answered, actual)

    def closed_intervals(self) -> Mapping[str, Interval]:
        """Wilson's, and for F1 that of the share it follows from, as the monitor has them."""
        hits, answered, actual = (
            sums.of(ones(self.rows))[0] for sums in (self._hits, self._answered, self._truth)
        )
        found = {"accuracy": wilson(float(hits.sum()), self.rows)}
        for place in self.present:
            either = float(answered[place] + actual[place] - hits[place])
            low, high = (2 * bound / (1 + bound) for bound in wilson(float(hits[place]), either))
            intervals = {
                "precision": wilson(float(hits[place]), float(answered[place])),
                "recall": wilson(float(hits[place]), float(actual[place])),
                "f1": (low, high),
            }
            for name, interval in intervals.items():
                found |= dict.fromkeys(self._names(name, int(place)), interval)
        return found

    def undefined(self) -> Mapping[str, str]:
        """All are defined but Matthews' coefficient of one class."""
        one_class = len(np.unique(self.truth)) < 2
        return {"mcc": "all rows have the same true class"} if one_class else {}

    def take(self, places: Places) -> ClassMeasure:
        """The measure of some of the rows."""
        return ClassMeasure(self.truth[places], self.answered[places], self.classes, self._positive)

    def confusion(self) -> Floats:
        """How often each class was true [classes], and which was answered [classes, and at last none]."""
        size = len(self.classes)
        column = np.where(self.answered < 0, size, self.answered)
        cells = np.bincount(self.truth * (size + 1) + column, minlength=size * (size + 1))
        return cells.reshape(size, size + 1).astype(np.float64)

    def _by_class(self, hits: Floats, answered: Floats, actual: Floats) -> dict[str, Floats]:
        rates = {
            "precision": ratio(hits, answered),
            "recall": ratio(hits, actual),
            "f1": ratio(2 * hits, answered + actual),
        }
        shares = ratio(actual, actual.sum(axis=1, keepdims=True))
        found = {}
        for name, values in rates.items():
            found[f"{name}_macro"] = values.mean(axis=1)
            found[f"{name}_weighted"] = (values * shares).sum(axis=1)
            for column, place in enumerate(self.present):
                for each in self._names(name, int(place)):
                    found[each] = values[:, column]
        return found

    def _names(self, name: str, place: int) -> Iterator[str]:
        yield f"{name}.{self._suffixes[place]}"
        if place == self._positive:
            yield name


def _mean_of_defined(values: Floats) -> Floats:
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1), np.nan)


def _matthews(right: Floats, answered: Floats, actual: Floats, total: Floats) -> Floats:
    """The correlation of answers and truth, of any number of classes; NaN where one of them is constant.

    Rows without an answer are of a class of their own, which is never true.
    """
    none = np.maximum(total - answered.sum(axis=1), 0.0)
    covariance = right * total - (answered * actual).sum(axis=1)
    spread_answered = total**2 - (answered**2).sum(axis=1) - none**2
    spread_actual = total**2 - (actual**2).sum(axis=1)
    found = np.full(len(total), np.nan)
    both = spread_actual > 0
    found[both] = 0.0  # constant answers are worth as much as chance, as scikit-learn has it
    both &= spread_answered > 0
    product = spread_answered[both] * spread_actual[both]
    found[both] = covariance[both] / np.sqrt(product)
    return found
