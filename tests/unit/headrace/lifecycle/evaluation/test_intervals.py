"""Intervals hold the true value as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.lifecycle.evaluation.intervals import around, of_draws, wilson
from headrace.lifecycle.evaluation.judging import Judged
from headrace.lifecycle.evaluation.measures.classes import ClassMeasure
from headrace.lifecycle.evaluation.measures.measure import Measure, Together
from headrace.lifecycle.evaluation.measures.numbers import NumberMeasure
from headrace.lifecycle.evaluation.measures.probabilities import ProbabilityMeasure
from headrace.lifecycle.evaluation.measuring import metrics_of
from headrace.lifecycle.evaluation.resampling import drawn, resampling_of
from headrace.lifecycle.evaluation.tasks import Task

ROWS, TRIALS, DRAWS = 150, 200, 300


def binary(rng: np.random.Generator, rows: int) -> tuple[Measure, np.ndarray]:
    """Two classes whose scores are normal, one apart: the area is 0.760."""
    truth = (rng.random(rows) < 0.4).astype(np.intp)
    score = 1 / (1 + np.exp(-(rng.normal(size=rows) + truth - 0.5)))
    table = np.stack([1 - score, score], axis=1)
    said = (score > 0.5).astype(np.intp)
    parts: list[Measure] = [
        ClassMeasure(truth, said, "ab", 1),
        ProbabilityMeasure(truth, table, "ab"),
    ]
    return Together(parts), truth


def test_intervals_of_classes_hold_the_truth() -> None:
    """At 95 %, of 200 data sets all but some 2 to 20 hold it: accuracy, F1, area and Brier score."""
    measure, _ = binary(np.random.default_rng(99), 400_000)
    true = {name: float(of[0]) for name, of in measure.values(np.ones((1, 400_000))).items()}
    names = ("accuracy", "recall", "f1_macro", "roc_auc", "brier", "mcc")
    held = dict.fromkeys(names, 0)
    for trial in range(TRIALS):
        measure, truth = binary(np.random.default_rng(trial), ROWS)
        found = metrics_of(measure, resampling_of(ROWS, draws=DRAWS, seed=trial, classes=truth))
        for metric in found:
            if metric.name in held and metric.lower is not None and metric.upper is not None:
                held[metric.name] += metric.lower <= true[metric.name] <= metric.upper
    shares = {name: count / TRIALS for name, count in held.items()}
    assert {} == {name: share for name, share in shares.items() if not 0.90 <= share <= 0.99}


def test_intervals_of_numbers_hold_the_truth() -> None:
    """The root of the mean square, and the mean absolute error, of normal errors."""
    true = {"rmse": 2.0, "mae": 2 * np.sqrt(2 / np.pi)}
    held = dict.fromkeys(true, 0)
    for trial in range(TRIALS):
        rng = np.random.default_rng(trial)
        truth = rng.normal(size=ROWS)
        measure = NumberMeasure(truth, truth + rng.normal(0, 2, ROWS))
        for metric in metrics_of(measure, resampling_of(ROWS, draws=DRAWS, seed=trial)):
            if metric.name in held and metric.lower is not None and metric.upper is not None:
                held[metric.name] += metric.lower <= true[metric.name] <= metric.upper
    assert all(0.90 <= count / TRIALS <= 0.99 for count in held.values()), held


def test_rows_of_groups_are_drawn_together() -> None:
    """Ten equal rows say no more than one: the interval is as wide as that of a tenth of the rows."""
    rng = np.random.default_rng(1)
    errors = np.repeat(rng.normal(size=40), 10)
    measure = NumberMeasure(np.zeros(400), errors)
    groups = np.repeat(np.arange(40), 10)
    alone, together = (
        drawn(measure, resampling_of(400, draws=300, groups=given))["bias"]
        for given in (None, groups)
    )
    assert np.sqrt(10) == pytest.approx(np.std(together) / np.std(alone), rel=0.15)


def test_a_rare_class_is_in_every_resample() -> None:
    """Rows are drawn within classes where one is rare, and from all together where none is."""
    truth = np.array([0] * 95 + [1] * 5)
    (weights,) = resampling_of(100, draws=50, classes=truth).blocks()
    assert {5.0} == set(weights[:, 95:].sum(axis=1))
    assert {100.0} == set(weights.sum(axis=1))
    (plain,) = resampling_of(100, draws=50, classes=np.arange(100) % 2).blocks()
    assert len(set(plain[:, ::2].sum(axis=1))) > 1


def test_a_seed_gives_the_same_draws_in_any_blocks() -> None:
    """Two evaluations with one seed have the same intervals."""
    first, again = (
        np.concatenate(list(resampling_of(30_000, draws=60, seed=3).blocks())) for _ in range(2)
    )
    assert (60, 30_000) == first.shape
    np.testing.assert_array_equal(first, again)


def test_an_interval_has_a_width_where_all_draws_agree() -> None:
    """An area of 1 in 20 rows is no certainty; of numbers nothing better is known."""
    assert wilson(20, 20) == around(1.0, (1.0, 1.0), rows=20, is_share=True)
    assert (3.0, 3.0) == around(3.0, (3.0, 3.0), rows=20, is_share=False)
    assert of_draws(np.array([np.nan, np.nan, 1.0])) is None


def test_one_row_has_no_interval() -> None:
    """Its resamples are all alike."""
    measure = NumberMeasure(np.zeros(1), np.ones(1))
    found = {each.name: each for each in metrics_of(measure, resampling_of(1, draws=10))}
    assert (1.0, None, 0.0) == (
        found["mae"].value,
        found["mae"].lower,
        found["mae"].confidence,
    )


def test_many_rows_have_fewer_resamples() -> None:
    """The work is bounded: 10,000 rows have all of a thousand, a million 200."""
    assert 1000 == resampling_of(10_000).draws
    assert 200 == resampling_of(1_000_000).draws
    assert 7 == resampling_of(1_000_000, draws=7).draws
    assert Judged(Task.BINARY, "", NumberMeasure(np.ones(1), np.ones(1))).strata is None
