"""Trains again and again on parts of the rows, and measures with the rest: how good a recipe is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from headrace.gates import is_smaller_better
from headrace.lifecycle.evaluation.answers import Output
from headrace.lifecycle.evaluation.asking import fitting_of
from headrace.lifecycle.evaluation.data import columns_as_rows
from headrace.lifecycle.evaluation.folds import Split, folds
from headrace.lifecycle.evaluation.intervals import CONFIDENCE
from headrace.lifecycle.evaluation.judging import judge
from headrace.lifecycle.evaluation.measures.measure import ones
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.targets import known_targets
from headrace.lifecycle.evaluation.tasks import Task, impossible
from headrace.lifecycle.extras import from_extra
from headrace.lifecycle.predictors import SessionPredictor
from headrace.lifecycle.tables import Rows
from headrace.lifecycle.tables.rows import Array
from headrace.state.annotation_records import Metric

Columns = Mapping[str, Array]
Answer = Mapping[str, Array] | Array
Fitted = bytes | Path | Callable[[Columns], Answer]
"""What training gives: an ONNX graph, which is run here, or a function from columns to outputs by name."""
_MOST_CLASSES = 20
"""A target of whole numbers with more values than that is taken as numbers, and not stratified."""


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One training: values by metric, on the rows that were held back and on those that were trained on."""

    name: str
    rows: int
    training_rows: int
    validation: Mapping[str, float]
    training: Mapping[str, float]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """All trainings, and the mean of each metric with a 95 % interval."""

    task: Task
    folds: tuple[FoldResult, ...]
    metrics: tuple[Metric, ...]
    """Means over folds, on rows that were held back."""
    gaps: Mapping[str, float] = field(default_factory=dict)
    """By metric, how much better it is in the mean on rows that were trained on: overfitting."""

    def metric(self, name: str) -> Metric | None:
        """The mean of a metric; None where it has no value in every fold."""
        return next((each for each in self.metrics if each.name == name), None)

    def lines(self, *names: str) -> Iterator[str]:
        """A line for each metric (without names, those of all classes): mean, interval, folds, gap."""
        for metric in self.metrics:
            if metric.name in names or (not names and "." not in metric.name):
                values = ", ".join(f"{each.validation[metric.name]:.4g}" for each in self.folds)
                gap = self.gaps.get(metric.name)
                trained = "" if gap is None else f"; {gap:+.4g} better on rows trained on"
                yield (
                    f"{metric.name} {metric.value:.4f} ({metric.lower:.4f} to {metric.upper:.4f}): "
                    f"{values}{trained}"
                )


def cross_validated(
    fit: Callable[[Columns], Fitted],
    columns: Mapping[str, object],
    target: str,
    *,
    splits: int | Sequence[Split] = 5,
    groups: str = "",
    inputs: Mapping[str, Sequence[str]] | None = None,
    output: str = "",
    task: Task | str | None = None,
    classes: Sequence[str] = (),
    ignored: Sequence[str] = (),
    seed: int = 0,
    training_too: bool = True,
    on_fold: Callable[[FoldResult], None] = lambda _: None,
) -> CrossValidation:
    """Train with `fit` on each split's rows, and measure with the rows that it holds back.

    `fit` gets columns by name, the target among them, and gives an ONNX graph (bytes or a path), which is
    run here by ONNX Runtime as it will be served, or a function from columns to outputs. A number of splits
    makes so many folds: stratified where the target is of classes, by whole `groups` where that column is
    named. Whatever is learnt of data (means for missing values, scales, vocabularies) has to be learnt in
    `fit`, and belongs into the graph: done before, it has seen the rows that are held back. `training_too`
    measures on the rows that were trained on, too: the gap shows overfitting.

    Intervals are Nadeau and Bengio's, wider than those of independent values, as trainings share rows.
    Raises InvalidArgument (EVALUATION_IMPOSSIBLE, ROWS_INVALID, GRAPH_UNUSABLE).
    """
    rows = _known(columns_as_rows(columns), target)
    question = Question(
        (target,),
        inputs,
        output,
        None if task is None else Task(task),
        tuple(classes),
        ignored=(*ignored, *([groups] if groups else [])),
    )
    parts = _splits(rows, target, groups, splits, seed, question.task)
    results, found = [], Task.REGRESSION
    for split in parts:
        began = time.monotonic()
        fitted = fit(rows.take(split.training).columns)
        found, validation = _measured(fitted, rows.take(split.validation), question)
        training: Mapping[str, float] = {}
        if training_too:
            training = _measured(fitted, rows.take(split.training), question)[1]
        taken = time.monotonic() - began
        counts = len(split.validation), len(split.training)
        results.append(FoldResult(split.name, *counts, validation, training, taken))
        on_fold(results[-1])
    return CrossValidation(found, tuple(results), tuple(_means(results)), _gaps(results))


def _known(rows: Rows, target: str) -> Rows:
    if target not in rows.columns:
        raise impossible(f"there is no column {target!r}")
    return rows.take(known_targets(rows.columns[target]))


def _splits(
    rows: Rows,
    target: str,
    groups: str,
    splits: int | Sequence[Split],
    seed: int,
    task: Task | None,
) -> Sequence[Split]:
    if not isinstance(splits, int):
        return splits
    column = rows.columns[target]
    of_classes = column.ndim == 1 and (
        column.dtype.kind in "Ob" or (column.dtype.kind in "iu" and _few(column))
    )
    is_stratified = of_classes and task not in (Task.REGRESSION, Task.RANKING)
    return folds(
        len(rows),
        splits,
        classes=column.astype(str) if is_stratified else None,
        groups=rows.columns[groups] if groups else None,
        seed=seed,
    )


def _few(column: Array) -> bool:
    return len(np.unique(column)) <= _MOST_CLASSES


def _measured(fitted: Fitted, rows: Rows, question: Question) -> tuple[Task, dict[str, float]]:
    """The values of metrics for the answers to some rows."""
    judged = judge(question, rows, _outputs(fitted, rows, question))
    values = judged.measure.values(ones(judged.measure.rows))
    found = {name: float(of[0]) for name, of in values.items()}
    return judged.task, {name: value for name, value in found.items() if np.isfinite(value)}


def _outputs(fitted: Fitted, rows: Rows, question: Question) -> list[Output]:
    if isinstance(fitted, bytes | Path):
        predictor = SessionPredictor(fitted)
        tensors = fitting_of(predictor.signature, rows, question).tensors(rows)
        answer: Answer = predictor.run(tensors)
    else:
        without = {*question.target, *question.ignored}
        answer = fitted({name: of for name, of in rows.columns.items() if name not in without})
    named = answer if isinstance(answer, Mapping) else {"answer": np.asarray(answer)}
    wrong = {name: len(of) for name, of in named.items() if len(of) != len(rows)}
    if wrong:
        raise impossible(f"{len(rows)} rows were asked, and outputs have others: {wrong}")
    return [Output(name, np.asarray(of)) for name, of in named.items() if np.ndim(of) <= 2]


def _means(results: Sequence[FoldResult]) -> Iterator[Metric]:
    """Yield the mean of each metric that has a value in all folds, with its interval."""
    rows = sum(each.rows for each in results)
    ratio = np.mean([each.rows / max(each.training_rows, 1) for each in results])
    for name in results[0].validation:
        values = [each.validation.get(name, np.nan) for each in results]
        if not np.isfinite(values).all():
            continue
        mean = float(np.mean(values))
        if len(values) < 2:
            yield Metric(name, mean, rows=rows)
            continue
        quantile = from_extra("scipy.stats", "cross-validation").t.ppf(
            (1 + CONFIDENCE) / 2, len(values) - 1
        )
        error = np.sqrt(np.var(values, ddof=1) * (1 / len(values) + ratio))
        spread = float(quantile * error)
        yield Metric(
            name, mean, lower=mean - spread, upper=mean + spread, confidence=CONFIDENCE, rows=rows
        )


def _gaps(results: Sequence[FoldResult]) -> dict[str, float]:
    """How much better metrics are on rows that were trained on, in the mean over folds."""
    found = {}
    for name in results[0].training:
        pairs = [(each.training.get(name), each.validation.get(name)) for each in results]
        known = [(one, other) for one, other in pairs if one is not None and other is not None]
        if len(known) == len(results):
            gap = float(np.mean([one - other for one, other in known]))
            found[name] = -gap if is_smaller_better(name) else gap
    return found
