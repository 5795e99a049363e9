"""Draws an evaluation: confusion, ROC, precision and recall, calibration, residuals, slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.measures.measure import ones
from headrace.lifecycle.evaluation.measures.numbers import NumberMeasure
from headrace.lifecycle.evaluation.measures.probabilities import ProbabilityMeasure
from headrace.lifecycle.reports.plots import as_png, new_figure, plain_text

_MOST_CLASSES = 30
"""A table of more is too small to read: those that are confused most are shown."""
_MOST_CURVES = 10
_MOST_POINTS = 5000
_INK, _LINE, _SOFT = "#444444", "#1f6feb", "#8b949e"
_LONGEST_NAME = 24


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with its title for people."""

    name: str
    title: str
    png: bytes = field(repr=False)


def plots(evaluation: Evaluation) -> tuple[Plot, ...]:
    """All plots that an evaluation has. Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING)."""
    return tuple(_all(evaluation))


def _all(evaluation: Evaluation) -> Iterator[Plot]:
    judged = evaluation.judged
    if evaluation.confusion:
        yield _confusion(evaluation)
    if judged is not None and judged.probabilities is not None:
        yield from _of_probabilities(judged.probabilities)
    if judged is not None and judged.numbers is not None:
        yield from _of_numbers(judged.numbers)
    if evaluation.slices:
        yield _slices(evaluation)


class _Drawing:
    """A figure with one pair of axes."""

    def __init__(self, width: float = 4.6, height: float = 3.8) -> None:
        self._figure = new_figure(width, height)
        self.axes: Any = self._figure.add_subplot()
        for side in ("top", "right"):
            self.axes.spines[side].set_visible(False)

    def png(self) -> bytes:
        """Its bytes."""
        return as_png(self._figure)


def _confusion(evaluation: Evaluation) -> Plot:
    counts, names = _shown(np.array(evaluation.confusion), list(evaluation.classes))
    size = min(2.6 + 0.42 * len(names), 11)
    drawing = _Drawing(size + 0.6, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawing.axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    columns = [*names, "(none)"] if counts.shape[1] > len(names) else names
    drawing.axes.set_xticks(range(len(columns)), [_plain(each) for each in columns], rotation=90)
    drawing.axes.set_yticks(range(len(names)), [_plain(each) for each in names])
    drawing.axes.set_xlabel("answered")
    drawing.axes.set_ylabel("true")
    if len(names) <= _MOST_CLASSES // 2:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else _INK
            drawing.axes.text(
                column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8
            )
    return Plot("confusion", "Answered beside true classes", drawing.png())


def _shown(counts: Any, names: list[str]) -> tuple[Any, list[str]]:
    """Of many classes those that are confused most; the last column only where answers are missing."""
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    if len(names) <= _MOST_CLASSES:
        return counts, names
    wrong = counts.sum(axis=1) - np.diagonal(counts)
    kept = np.sort(np.argsort(-wrong, kind="stable")[:_MOST_CLASSES])
    columns = [*kept, *range(len(names), counts.shape[1])]
    return counts[np.ix_(kept, columns)], [names[place] for place in kept]


def _of_probabilities(found: ProbabilityMeasure) -> Iterator[Plot]:
    count = len(found.classes)
    places = [1] if count == 2 else list(range(count))[:_MOST_CURVES]
    curves = [(found.classes[n], curve) for n in places if (curve := found.curve(n)) is not None]
    if curves:
        roc, precision = _Drawing(), _Drawing()
        for name, curve in curves:
            won, lost = (each[0][::-1].cumsum() for each in curve.counts(ones(len(curve.order))))
            label = _plain(name) if count > 2 else None
            roc.axes.plot(
                np.append(0, lost / lost[-1]), np.append(0, won / won[-1]), label=label, lw=1.2
            )
            precision.axes.step(
                won / won[-1], won / (won + lost), where="post", label=label, lw=1.2
            )
        roc.axes.plot([0, 1], [0, 1], color=_SOFT, lw=0.8, ls="--")
        yield _curves("roc", "ROC", roc, "false positives", "true positives", named=count > 2)
        yield _curves(
            "precision_recall",
            "Precision and recall",
            precision,
            "recall",
            "precision",
            named=count > 2,
        )
    rows, sure, right = found.reliability()
    drawing = _Drawing()
    drawing.axes.plot([0, 1], [0, 1], color=_SOFT, lw=0.8, ls="--")
    drawing.axes.bar(
        np.linspace(0, 1, len(rows) + 1)[:-1],
        rows / max(rows.sum(), 1),
        width=1 / len(rows),
        align="edge",
        color=_SOFT,
        alpha=0.35,
    )
    drawing.axes.plot(sure, right, "o-", color=_LINE, ms=3, lw=1.2)
    yield _curves(
        "calibration",
        "Calibration: how often it is right when it is so sure (bars: share of rows)",
        drawing,
        "confidence",
        "right",
    )


def _curves(
    name: str, title: str, drawing: _Drawing, x: str, y: str, *, named: bool = False
) -> Plot:
    drawing.axes.set_xlim(-0.02, 1.02)
    drawing.axes.set_ylim(-0.02, 1.02)
    drawing.axes.set_xlabel(x)
    drawing.axes.set_ylabel(y)
    if named:
        drawing.axes.legend(fontsize=7, frameon=False)
    return Plot(name, title, drawing.png())


def _of_numbers(found: NumberMeasure) -> Iterator[Plot]:
    known = np.isfinite(found.truth) & np.isfinite(found.answers)
    truth, answers = found.truth[known], found.answers[known]
    if not len(truth):
        return
    step = max(1, len(truth) // _MOST_POINTS)
    drawing = _Drawing()
    drawing.axes.plot(truth[::step], answers[::step], ".", color=_LINE, ms=3, alpha=0.5)
    ends = [float(truth.min()), float(truth.max())]
    drawing.axes.plot(ends, ends, color=_SOFT, lw=0.8, ls="--")
    drawing.axes.set_xlabel("true")
    drawing.axes.set_ylabel("answered")
    yield Plot("answers", "Answers beside the truth", drawing.png())
    drawing = _Drawing()
    drawing.axes.hist(answers - truth, bins=40, color=_LINE, alpha=0.8)
    drawing.axes.axvline(0, color=_SOFT, lw=0.8, ls="--")
    drawing.axes.set_xlabel("error: answer less truth")
    drawing.axes.set_ylabel("rows")
    yield Plot("residuals", "Errors", drawing.png())


def _slices(evaluation: Evaluation) -> Plot:
    name = evaluation.primary
    found = [each for each in evaluation.metrics if each.slice and each.name == name][::-1]
    drawing = _Drawing(6.4, 1.0 + 0.26 * max(len(found), 1))
    for place, metric in enumerate(found):
        if metric.lower is not None and metric.upper is not None:
            drawing.axes.plot([metric.lower, metric.upper], [place, place], color=_LINE, lw=1.4)
        drawing.axes.plot([metric.value], [place], "o", color=_LINE, ms=4)
    whole = evaluation.metric(name)
    if whole is not None:
        drawing.axes.axvline(whole.value, color=_SOFT, lw=0.8, ls="--")
    labels = [f"{_plain(each.slice)} ({each.rows})" for each in found]
    drawing.axes.set_yticks(range(len(found)), labels, fontsize=8)
    drawing.axes.set_xlabel(f"{name} (dashed: all rows)")
    return Plot("slices", "By slice", drawing.png())


def _plain(text: str) -> str:
    return plain_text(text, _LONGEST_NAME)
