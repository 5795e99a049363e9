"""Measures of the probabilities of classes: how they rank rows, and whether they are true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headrace.lifecycle.evaluation.measures.measure import (
    Floats,
    Interval,
    Places,
    Sums,
    ratio,
)
from headrace.lifecycle.evaluation.measures.metric_names import class_suffixes

BINS = 15
"""Of confidences, all as wide."""
MOST_CLASSES = 50
"""Up to so many, areas are measured of each against the rest; of more they cost too much."""
_SMALLEST = float(np.finfo(np.float64).eps)


class ProbabilityMeasure:
    """ROC AUC, average precision, log loss, Brier score and calibration error.

    Rows whose truth has no column (-1), or that have no probabilities, are left out.
    """

    def __init__(self, truth: Places, table: Floats, classes: Sequence[str]) -> None:
        self.truth, self.table, self.classes = truth, table, tuple(classes)
        self.rows = len(truth)
        usable = (truth >= 0) & np.isfinite(table).all(axis=1)
        self._places = np.flatnonzero(usable)
        self.known = truth[self._places]
        self.known_table = table[self._places]
        self._losses = _losses(self.known, self.known_table)
        self.confidence, self.is_right = (
            self.known_table.max(axis=1),
            self.known_table.argmax(axis=1) == self.known,
        )
        bins = np.minimum((self.confidence * BINS).astype(np.intp), BINS - 1)
        self._bins = Sums(bins, BINS)
        self._curves = self._ranked()

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values for weights of rows."""
        if not len(self._places):
            return dict.fromkeys(self._names(), np.full(len(weights), np.nan))
        if len(self._places) < self.rows:
            weights = weights[:, self._places]
        total = weights.sum(axis=1)
        found = {name: ratio(weights @ loss, total, np.nan) for name, loss in self._losses.items()}
        found["calibration_error"] = self._calibration_error(weights, total)
        return found | self._areas(weights)

    def closed_intervals(self) -> Mapping[str, Interval]:
        """There are none."""
        return {}

    def undefined(self) -> Mapping[str, str]:
        """Areas are undefined where one class only is true."""
        if not len(self._places):
            return dict.fromkeys(self._names(), "no row has both a truth and probabilities")
        if len(np.unique(self.known)) < 2:
            return dict.fromkeys(self._names()[-2:], "all rows have the same true class")
        if len(self.classes) > MOST_CLASSES:
            return dict.fromkeys(self._names()[-2:], f"there are more than {MOST_CLASSES} classes")
        return {}

    def take(self, places: Places) -> ProbabilityMeasure:
        """The measure of some of the rows."""
        return ProbabilityMeasure(self.truth[places], self.table[places], self.classes)

    def curve(self, place: int) -> Ranked | None:
        """The rows by their probability of a class; None where it is never, or always, true."""
        return dict(self._curves).get(place)

    def reliability(self) -> tuple[Floats, Floats, Floats]:
        """By bin of confidence: the rows, their mean confidence, and the share of right ones."""
        one = np.ones((1, len(self.known)))
        count, sure, right = (
            self._bins.of(weights)[0]
            for weights in (one, one * self.confidence, one * self.is_right)
        )
        return count, ratio(sure, count, np.nan), ratio(right, count, np.nan)

    def _calibration_error(self, weights: Floats, total: Floats) -> Floats:
        gaps = self._bins.of(weights * (self.is_right - self.confidence))
        return ratio(np.abs(gaps).sum(axis=1), total, np.nan)

    def _areas(self, weights: Floats) -> dict[str, Floats]:
        names, found = self._names()[-2:], {}
        suffixes = class_suffixes(self.classes)
        areas, precisions = [], []
        for place, ranked in self._curves:
            area, precision = ranked.areas(weights)
            areas.append(area)
            precisions.append(precision)
            if len(self.classes) > 2:
                found[f"roc_auc.{suffixes[place]}"] = area
                found[f"average_precision.{suffixes[place]}"] = precision
        if areas:
            with np.errstate(invalid="ignore"):
                found |= {names[0]: np.mean(areas, axis=0), names[1]: np.mean(precisions, axis=0)}
        return found

    def _names(self) -> list[str]:
        mean = "_macro" if len(self.classes) > 2 else ""
        losses = ["log_loss", "brier", "calibration_error"]
        return [*losses, f"roc_auc{mean}", f"average_precision{mean}"]

    def _ranked(self) -> list[tuple[int, Ranked]]:
        """Of two classes the second alone: the area of the first is the same."""
        count = len(self.classes)
        if count > MOST_CLASSES:
            return []
        found = []
        for place in [1] if count == 2 else range(count):
            is_true = self.known == place
            if is_true.any() and not is_true.all():
                found.append((place, ranked(self.known_table[:, place], is_true)))
        return found


class Ranked(NamedTuple):
    """Rows by their score, the smallest first; rows of equal scores are at one place."""

    order: Places
    starts: Places
    is_true: Floats
    scores: Floats

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """The area under the ROC curve, ties counting half, and the average precision."""
        won, lost = self.counts(weights)
        wins, losses = won.sum(axis=1), lost.sum(axis=1)
        below = np.cumsum(lost, axis=1) - lost / 2
        area = ratio((below * won).sum(axis=1), wins * losses, np.nan)
        won_above = np.cumsum(won[:, ::-1], axis=1)
        all_above = won_above + np.cumsum(lost[:, ::-1], axis=1)
        precision = ratio(won_above, all_above)
        return area, ratio((won[:, ::-1] * precision).sum(axis=1), wins, np.nan)

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """The weights of true rows, and of others, by score."""
        ordered = weights[:, self.order]
        every = np.add.reduceat(ordered, self.starts, axis=1)
        won = np.add.reduceat(ordered * self.is_true, self.starts, axis=1)
        return won, every - won


def ranked(scores: Floats, is_true: np.typing.NDArray[np.bool_]) -> Ranked:
    """Put rows in the order of their scores."""
    order = np.argsort(scores, kind="stable")
    values, starts = np.unique(scores[order], return_index=True)
    return Ranked(order, starts, is_true[order].astype(np.float64), values)


def _losses(truth: Places, table: Floats) -> dict[str, Floats]:
    """The log loss and the Brier score of each row; of two classes the latter is of the second."""
    rows = np.arange(len(truth))
    log_losses = -np.log(np.clip(table[rows, truth], _SMALLEST, 1.0))
    if table.shape[1] == 2:
        return {"log_loss": log_losses, "brier": (table[:, 1] - truth) ** 2}
    wanted = np.zeros_like(table)
    wanted[rows, truth] = 1.0
    return {"log_loss": log_losses, "brier": ((table - wanted) ** 2).sum(axis=1)}
