"""What is lost by a candidate: by a metric where the truth is known, by its parent's answers elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headrace.gates import is_smaller_better
from headrace.lifecycle.evaluation.answers import Output
from headrace.lifecycle.evaluation.evaluating import known_rows
from headrace.lifecycle.evaluation.evaluation import PRIMARY
from headrace.lifecycle.evaluation.intervals import of_draws
from headrace.lifecycle.evaluation.judging import MISSING, Judged, codes_of, judge
from headrace.lifecycle.evaluation.measures.measure import Measure, ones
from headrace.lifecycle.evaluation.measures.metric_names import is_share
from headrace.lifecycle.evaluation.measuring import measured
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.resampling import RESAMPLES, resampling_of
from headrace.lifecycle.evaluation.slices import slices_of
from headrace.lifecycle.evaluation.storing import stored_metrics
from headrace.lifecycle.evaluation.tasks import Task, impossible, listed
from headrace.lifecycle.predictors.predictor import Array
from headrace.lifecycle.tables.rows import Rows
from headrace.state.annotation_records import Metric

_TINY = 1e-12
_WITHOUT_DIRECTION = frozenset(["bias", "error_p05", "error_p50", "error_p95"])
"""Of these, neither more nor less is better."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost, with an interval that holds it at 95 % (the same rows resampled for both)."""

    measure: str
    """In words: of accuracy the difference, of errors the growth beside the parent's."""
    value: float
    lower: float
    upper: float
    parent: float | None = None
    """The metric of the parent; None without a truth."""
    candidate: float | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """The metric by which candidates are judged, by the names that evaluations have, and how it is read."""

    question: Question
    metric: str = ""
    """As `f1_macro`, or `recall.fraud{region=eu}` of a slice; '' for the main one of the task."""
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of classes by output."""

    @property
    def name(self) -> str:
        """The metric without its slice."""
        return self.metric.partition("{")[0]

    @property
    def slice(self) -> str:
        """The slice as evaluations write it, `region=eu`; '' for all rows."""
        return self.metric.partition("{")[2].removesuffix("}")

    def asked(self) -> Question:
        """The question, which has the column of the slice."""
        column = self.slice.partition("=")[0]
        return replace(self.question, slice_by=(column,)) if column else self.question


class Truth:
    """Rows with their truth, beside which the answers of parent and candidates are put."""

    def __init__(self, rows: Rows, criterion: Criterion) -> None:
        """Raises InvalidArgument (EVALUATION_IMPOSSIBLE) where no row has a truth."""
        self._known = known_rows(rows, criterion.question)
        self._rows = rows.take(self._known)
        self._criterion = criterion

    def judged(self, outputs: Mapping[str, Array], task: Task | None = None) -> Judged:
        """The answers beside the truth. Raises InvalidArgument (EVALUATION_IMPOSSIBLE, ROWS_INVALID)."""
        labels = self._criterion.labels
        read = [
            Output(name, of[self._known], tuple(labels.get(name, ())))
            for name, of in outputs.items()
            if of.ndim <= 2
        ]
        question = self._criterion.question
        return judge(replace(question, task=task or question.task), self._rows, read)

    def value(self, judged: Judged) -> tuple[str, float]:
        """The name of the metric, and what it is. Raises InvalidArgument (EVALUATION_IMPOSSIBLE)."""
        measure = self._of_slice(judged)
        values = {name: float(of[0]) for name, of in measure.values(ones(measure.rows)).items()}
        name = _named(self._criterion.name or PRIMARY[judged.task], values)
        if name in measure.undefined() or not np.isfinite(values[name]):
            why = measure.undefined().get(name, "it is no number")
            raise impossible(f"{name!r} has no value in these rows: {why}")
        return name, values[name]

    def loss(self, before: Judged, after: Judged, draws: int = RESAMPLES) -> Loss:
        """What is lost of the metric: the difference, or, of errors without a bound, the growth.

        A candidate that answers fewer rows than its parent has lost all: most metrics leave such rows out.
        """
        name, parent = self.value(before)
        if _missing(after) > _missing(before):
            return Loss("rows without an answer", np.inf, np.inf, np.inf, parent)
        candidate = self.value(after)[1]
        words, scale = f"{name} lost", 1.0
        if is_smaller_better(name):
            words, scale = f"{name} grown", -1.0
            if not is_share(name):
                words, scale = f"{words}, beside the parent's", -1.0 / max(abs(parent), _TINY)
        value = (parent - candidate) * scale
        interval = of_draws(np.concatenate(list(self._draws(name, before, after, draws))))
        lower, upper = (value, np.inf) if interval is None else (each * scale for each in interval)
        lower, upper = min(lower, upper), max(lower, upper)
        return Loss(words, value, min(value, lower), max(value, upper), parent, candidate)

    def metrics(self, judged: Judged) -> list[Metric]:
        """The metrics that are kept of these answers, with their intervals."""
        found = measured(judged, self._rows, self._criterion.asked())[0]
        return stored_metrics(judged.task, found)

    def _draws(self, name: str, before: Judged, after: Judged, draws: int) -> Iterator[Array]:
        """Yield draws of the difference: each resample has the same rows of both."""
        one, other = (_part_with(self._of_slice(each), name) for each in (before, after))
        strata = groups = None
        if before.places is None and not self._criterion.slice:
            strata, group = before.strata, self._criterion.question.group_by
            groups = codes_of(self._rows, group) if group else None
        drawn = resampling_of(one.rows, draws=draws, classes=strata, groups=groups)
        for weights in drawn.blocks():
            yield one.values(weights)[name] - other.values(weights)[name]

    def _of_slice(self, judged: Judged) -> Measure:
        wanted = self._criterion.slice
        if not wanted:
            return judged.measure
        rows = self._rows if judged.places is None else self._rows.take(judged.places)
        found, _ = slices_of(rows, self._criterion.asked().slice_by)
        if wanted not in found:
            raise impossible(f"there is no slice {wanted!r}; there are {listed(found)}")
        return judged.measure.take(found[wanted])


def loss_by_parent(same: Array | None, relative: Array) -> Loss:
    """The loss where no truth is known: rows that get another class, else the relative difference."""
    if same is not None:
        return Loss("rows with another class", *_mean_with_interval(1.0 - same.astype(np.float64)))
    return Loss("difference, beside the spread of values", *_mean_with_interval(relative))


def _named(wanted: str, values: Mapping[str, float]) -> str:
    """The name of a metric as it is measured: `ndcg` may be said for `ndcg_at_10`."""
    if wanted in _WITHOUT_DIRECTION:
        raise impossible(f"{wanted!r} says of no version that it is better: choose another metric")
    found = [name for name in values if name == wanted or name.startswith(f"{wanted}_at_")]
    if not found:
        raise impossible(f"{wanted!r} is not measured here; there are {listed(values)}")
    return found[0]


def _part_with(measure: Measure, name: str) -> Measure:
    """The part of a measure that has this value: the others need not be counted again and again."""
    for part in getattr(measure, "parts", ()):
        if name in part.values(ones(part.rows)):
            return _part_with(part, name)
    return measure


def _missing(judged: Judged) -> float:
    values = judged.measure.values(ones(judged.measure.rows))
    return float(values[MISSING][0]) if MISSING in values else 0.0


def _mean_with_interval(values: Array) -> tuple[float, float, float]:
    mean = float(values.mean())
    if not np.isfinite(mean):
        return np.inf, np.inf, np.inf
    random = np.random.default_rng(0)
    count = len(values)
    draws = np.array([values[random.integers(0, count, count)].mean() for _ in range(RESAMPLES)])
    lower, upper = np.quantile(draws, (0.025, 0.975))
    return mean, min(mean, float(lower)), max(mean, float(upper))
