"""Makes metrics with intervals of judged rows, all of them and by slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from headrace.lifecycle.evaluation.intervals import CONFIDENCE, around, of_draws
from headrace.lifecycle.evaluation.judging import Judged, codes_of
from headrace.lifecycle.evaluation.measures.measure import Floats, Measure, Places, ones
from headrace.lifecycle.evaluation.measures.metric_names import is_share
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.resampling import Resampling, drawn, resampling_of
from headrace.lifecycle.evaluation.slices import slices_of
from headrace.lifecycle.tables.rows import Rows
from headrace.state.annotation_records import Metric

_DRAWS_OF_A_SLICE = 300
_WITHOUT_INTERVAL = frozenset(["calibration_error"])
"""Resamples repeat rows, so bins look worse calibrated than they are: no interval is better than one that
never holds the true value."""


def measured(
    judged: Judged, rows: Rows, question: Question
) -> tuple[tuple[Metric, ...], Resampling, tuple[str, ...]]:
    """The metrics of all rows and of slices, how rows were resampled, and what there is to say of it."""
    if judged.places is not None:
        rows = rows.take(judged.places)
    groups = None
    if question.group_by and judged.places is None:
        groups = codes_of(rows, question.group_by)
    resampling = resampling_of(
        judged.measure.rows,
        draws=question.resamples,
        seed=question.seed,
        classes=judged.strata,
        groups=groups,
    )
    metrics = list(metrics_of(judged.measure, resampling))
    slices, notes = slices_of(rows, question.slice_by)
    for name, places in slices.items():
        metrics += _of_slice(judged, name, places, resampling)
    return tuple(metrics), resampling, (*_about(resampling, question), *notes)


def metrics_of(measure: Measure, resampling: Resampling) -> Iterator[Metric]:
    """Yield each value that is defined, with its interval."""
    values = {name: float(of[0]) for name, of in measure.values(ones(measure.rows)).items()}
    undefined = measure.undefined()
    closed = measure.closed_intervals() if resampling.groups is None else {}
    draws = drawn(measure, resampling) if set(values) - set(closed) else {}
    for name, value in values.items():
        if not np.isfinite(value) or name in undefined:
            continue
        interval = closed.get(name)
        if interval is None and name not in _WITHOUT_INTERVAL:
            interval = _interval(name, value, draws, resampling)
        yield _metric(name, value, interval, measure.rows)


def _interval(
    name: str, value: float, draws: Mapping[str, Floats], resampling: Resampling
) -> tuple[float, float] | None:
    rows = resampling.units
    if rows < 2:  # nothing varies, and that says nothing
        return None
    if resampling.strata is not None:
        rows = int(np.unique(resampling.strata, return_counts=True)[1].min())
    found = of_draws(draws[name])
    if name == "mcc" and found is not None and found[0] == found[1]:
        return None  # all draws are 1, which proves no certainty, and a correlation is no share
    return around(value, found, rows=rows, is_share=is_share(name))


def _metric(name: str, value: float, interval: tuple[float, float] | None, rows: int) -> Metric:
    low, high = interval if interval is not None else (None, None)
    confidence = CONFIDENCE if interval is not None else 0.0
    return Metric(name, value, lower=low, upper=high, confidence=confidence, rows=rows)


def _of_slice(judged: Judged, name: str, places: Places, whole: Resampling) -> Iterator[Metric]:
    """Yield the metrics of a slice, without those of single classes."""
    groups = None
    if whole.groups is not None:
        groups = np.unique(whole.groups[places], return_inverse=True)[1].astype(np.intp)
    strata = None if judged.strata is None else judged.strata[places]
    draws = min(whole.draws, _DRAWS_OF_A_SLICE)
    resampling = resampling_of(
        len(places), draws=draws, seed=whole.seed, classes=strata, groups=groups
    )
    for metric in metrics_of(judged.measure.take(places), resampling):
        if "." not in metric.name:
            yield replace(metric, slice=name)


def _about(resampling: Resampling, question: Question) -> Iterator[str]:
    if resampling.strata is not None:
        yield "a class is rare: rows were resampled within each class"
    if resampling.groups is not None:
        yield f"rows of the same {question.group_by!r} were resampled together"
        if resampling.units < 20:
            yield f"there are only {resampling.units} groups: intervals are too narrow"
    if resampling.draws < question.resamples:
        yield f"rows are many: there were {resampling.draws} resamples"
