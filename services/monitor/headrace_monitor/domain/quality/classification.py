"""Figures of classes, from how often each was answered where which was true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace_monitor.domain.quality.auc import auc_figure
from headrace_monitor.domain.quality.figures import (
    ACCURACY,
    F1,
    MACRO,
    PRECISION,
    RECALL,
    WEIGHTED,
    Figure,
)
from headrace_monitor.domain.quality.intervals import of_draws, wilson
from headrace_monitor.domain.quality.tallies import BINS, Tally

DRAWS = 200
"""For intervals that no formula gives."""

Array = npt.NDArray[np.float64]


class Rates(NamedTuple):
    """Counts by class [..., classes]: answered rightly, answered, and true."""

    hits: Array
    answered: Array
    actual: Array

    def of_classes(self) -> dict[str, Array]:
        """Precision, recall and F1 of each class; 0 where a class was never answered, or never true."""
        return {
            PRECISION: _ratio(self.hits, self.answered),
            RECALL: _ratio(self.hits, self.actual),
            F1: _ratio(2 * self.hits, self.answered + self.actual),
        }

    def means(self) -> dict[str, Array]:
        """Return their means over classes, and those weighted by how often a class is true."""
        shares = _ratio(self.actual, self.actual.sum(axis=-1, keepdims=True))
        means = {}
        for name, values in self.of_classes().items():
            means[name + MACRO] = values.mean(axis=-1)
            means[name + WEIGHTED] = (values * shares).sum(axis=-1)
        return means


def class_figures(tally: Tally) -> Iterator[Figure]:
    """Yield accuracy, the figures of each class and their means, and the area where there are scores."""
    labelled = tally.labelled - tally.numbers
    if labelled <= 0:
        return
    low, high = wilson(tally.correct, labelled)
    yield Figure(ACCURACY, tally.correct / labelled, low, high, labelled)
    confusion = _Confusion(tally.confusion)
    if len(confusion.classes) > 1:
        yield from _means(confusion, labelled)
    yield from _of_each(confusion)
    if tally.positive:
        negatives, positives = judged_arrays(tally.judged)
        figure = auc_figure(negatives, positives, tally.positive)
        if figure is not None:
            yield figure


def judged_arrays(judged: Mapping[int, tuple[int, int]]) -> tuple[Array, Array]:
    """Return counts by bin as two arrays."""
    no, yes = np.zeros(BINS), np.zeros(BINS)
    for place, (less, more) in judged.items():
        no[place], yes[place] = less, more
    return no, yes


class _Confusion:
    """The cells that are not empty, as arrays."""

    def __init__(self, confusion: Mapping[str, Mapping[str, int]]) -> None:
        cells = [
            (predicted, truth, count)
            for predicted, truths in confusion.items()
            for truth, count in truths.items()
            if count > 0
        ]
        self.classes = sorted({name for cell in cells for name in cell[:2]})
        places = {name: place for place, name in enumerate(self.classes)}
        self._predicted = np.array([places[cell[0]] for cell in cells], np.intp)
        self._truth = np.array([places[cell[1]] for cell in cells], np.intp)
        self.counts = np.array([cell[2] for cell in cells], np.float64)

    def rates(self, counts: Array) -> Rates:
        """Return the rates of counts [..., cells]."""
        shape = (*counts.shape[:-1], len(self.classes))
        rates = Rates(np.zeros(shape), np.zeros(shape), np.zeros(shape))
        for cell, (predicted, truth) in enumerate(zip(self._predicted, self._truth, strict=True)):
            rates.answered[..., predicted] += counts[..., cell]
            rates.actual[..., truth] += counts[..., cell]
            if predicted == truth:
                rates.hits[..., predicted] += counts[..., cell]
        return rates


def _means(confusion: _Confusion, labelled: int) -> Iterator[Figure]:
    shares = confusion.counts / confusion.counts.sum()
    draws = np.random.default_rng(1).multinomial(labelled, shares, DRAWS).astype(np.float64)
    drawn = confusion.rates(draws).means()
    for name, value in confusion.rates(confusion.counts).means().items():
        low, high = of_draws(drawn[name])
        measured = float(value)
        yield Figure(name, measured, min(low, measured), max(high, measured), labelled)


def _of_each(confusion: _Confusion) -> Iterator[Figure]:
    rates = confusion.rates(confusion.counts)
    columns = (rates.hits.tolist(), rates.answered.tolist(), rates.actual.tolist())
    for name, hits, answered, actual in zip(confusion.classes, *columns, strict=True):
        if answered:
            yield Figure(PRECISION, hits / answered, *wilson(hits, answered), int(answered), name)
        if actual:
            yield Figure(RECALL, hits / actual, *wilson(hits, actual), int(actual), name)
        # of rows where the class was answered or true, both are so in a share of j; F1 is 2j / (1 + j)
        either = answered + actual - hits
        low, high = (2 * bound / (1 + bound) for bound in wilson(hits, either))
        yield Figure(F1, 2 * hits / (answered + actual), low, high, int(either), name)


def _ratio(part: Array, whole: Array) -> Array:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))
