"""Measures of labels of which any number may hold for a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.evaluation.intervals import wilson
from headrace.lifecycle.evaluation.measures.measure import Floats, Interval, Places, ratio
from headrace.lifecycle.evaluation.measures.metric_names import class_suffixes
from headrace.lifecycle.evaluation.measures.probabilities import ranked

Booleans = npt.NDArray[np.bool_]


class LabelMeasure:
    """Subset accuracy, Hamming loss, and precision, recall and F1 by label.

    A label holds from a probability of 0.5 on. A row without probabilities has no labels.
    """

    def __init__(self, truth: Booleans, table: Floats, labels: Sequence[str]) -> None:
        self.truth, self.table, self.labels = truth, table, tuple(labels)
        self.rows = len(truth)
        with np.errstate(invalid="ignore"):
            self.answered = table >= 0.5
        self._whole = (self.answered == truth).all(axis=1).astype(np.float64)
        self._suffixes = class_suffixes(self.labels)
        self._curves = {
            place: ranked(np.nan_to_num(table[:, place], nan=-1.0), truth[:, place])
            for place in range(len(self.labels))
            if truth[:, place].any() and not truth[:, place].all()
        }

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values for weights of rows."""
        total = weights.sum(axis=1)
        wrong = (self.answered != self.truth).mean(axis=1)
        hits, answered, actual = (
            weights @ each.astype(np.float64)
            for each in (self.answered & self.truth, self.answered, self.truth)
        )
        found = {
            "subset_accuracy": weights @ self._whole / total,
            "hamming_loss": weights @ wrong / total,
            "f1_micro": ratio(2 * hits.sum(axis=1), (answered + actual).sum(axis=1)),
        }
        rates = {
            "precision": ratio(hits, answered),
            "recall": ratio(hits, actual),
            "f1": ratio(2 * hits, answered + actual),
        }
        for name, values in rates.items():
            found[f"{name}_macro"] = values.mean(axis=1)
            found |= {f"{name}.{suffix}": values[:, n] for n, suffix in enumerate(self._suffixes)}
        areas = {place: curve.areas(weights)[0] for place, curve in self._curves.items()}
        found |= {f"roc_auc.{self._suffixes[place]}": area for place, area in areas.items()}
        if areas:
            found["roc_auc_macro"] = np.mean(list(areas.values()), axis=0)
        return found

    def closed_intervals(self) -> Mapping[str, Interval]:
        """Wilson's, of the rows that are right as a whole."""
        return {"subset_accuracy": wilson(float(self._whole.sum()), self.rows)}

    def undefined(self) -> Mapping[str, str]:
        """The area of a label that holds for all rows, or for none."""
        return {
            f"roc_auc.{suffix}": "the label is the same in all rows"
            for place, suffix in enumerate(self._suffixes)
            if place not in self._curves
        }

    def take(self, places: Places) -> LabelMeasure:
        """The measure of some of the rows."""
        return LabelMeasure(self.truth[places], self.table[places], self.labels)
