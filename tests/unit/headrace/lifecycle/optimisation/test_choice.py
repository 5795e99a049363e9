"""Which candidate is chosen, from what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.lifecycle.optimisation.candidates import Candidate
from headrace.lifecycle.optimisation.choice import Goal, Measured, best, front
from headrace.lifecycle.optimisation.differences import Difference, difference_of
from headrace.lifecycle.optimisation.judging import Allowed
from headrace.lifecycle.optimisation.losses import Loss, MetricName, Truth, loss_by_truth
from headrace.lifecycle.optimisation.measuring.costs import Cost
from headrace.lifecycle.optimisation.methods import Method


def measured(name: str, size: int, loss: float, p50: float, upper: float = 0.0) -> Measured:
    difference = Difference(100, 0.5, 0.1, 0.1, 1.0, Loss("lost", loss, loss, max(loss, upper)))
    candidate = Candidate((Method.INT4,), None, difference)
    return Measured(name, size, loss, Cost(p50, 1 / p50, 9, cpu_seconds=p50), candidate)


PARENT = Measured("parent", 100, 0.0, Cost(1.0, 1.0, 9, cpu_seconds=1.0))
SMALL = measured("small", 25, 0.004, 1.2, upper=0.01)
FAST = measured("fast", 60, 0.003, 0.5)
WORSE = measured("worse", 70, 0.004, 0.6)
LOSSY = measured("lossy", 10, 0.1, 0.1)
ALL = (PARENT, SMALL, FAST, WORSE, LOSSY)


@pytest.mark.parametrize(
    ("goal", "allowed", "name"),
    [
        (Goal.SIZE, Allowed(0.005), "small"),
        (Goal.LATENCY, Allowed(0.005), "fast"),
        (Goal.THROUGHPUT, Allowed(0.005), "fast"),
        (Goal.ENERGY, Allowed(0.005), "fast"),
        (Goal.SIZE, Allowed(0.5), "lossy"),
        (Goal.SIZE, Allowed(0.005, is_sure=True), "fast"),
        (Goal.SIZE, Allowed(0.001), None),
        (Goal.SIZE, Allowed(0.005, output_difference=0.4), None),
    ],
)
def test_the_best_by_the_goal_within_the_loss_is_chosen(
    goal: Goal, allowed: Allowed, name: str | None
) -> None:
    """Where none fits, the parent is kept."""
    chosen = best(ALL, goal, allowed)
    assert name == (chosen.name if chosen else None)


def test_a_candidate_that_is_no_better_than_its_parent_is_not_chosen() -> None:
    """A percent is chance."""
    assert None is best((PARENT, measured("same", 99, 0.0, 1.0)), Goal.SIZE, Allowed())


def test_the_front_has_those_that_nothing_beats() -> None:
    """One that another beats in all three is behind it."""
    assert ["parent", "small", "fast", "lossy"] == [each.name for each in front(ALL)]


def test_differences_are_counted_by_value_and_by_row() -> None:
    """Rows with another class, the largest and the mean difference."""
    before = {"p": np.array([[0.9, 0.1], [0.4, 0.6]]), "label": np.array([0, 1])}
    after = {"p": np.array([[0.8, 0.2], [0.6, 0.4]]), "label": np.array([0, 0])}
    largest, mean, _, same = difference_of(before, after)
    assert pytest.approx(0.2) == largest
    assert pytest.approx(0.15) == mean
    assert same is not None
    assert [True, False] == same.tolist()


def test_a_number_in_the_place_of_none_is_infinitely_different() -> None:
    """NaN where the parent has a number, and the other way round."""
    one, other = {"y": np.array([[1.0], [np.nan]])}, {"y": np.array([[np.nan], [np.nan]])}
    assert np.inf == difference_of(one, other)[0]
    assert 0.0 == difference_of(other, other)[0]


def test_the_loss_of_a_metric_is_that_of_the_same_rows() -> None:
    """The interval is of differences by row, and holds the loss."""
    targets = np.array(["cat", "dog"] * 50)
    truth = Truth(targets, MetricName.ACCURACY, labels=("cat", "dog"))
    right = np.eye(2)[[0, 1] * 50]
    wrong = right.copy()
    wrong[:10] = wrong[:10, ::-1]
    loss = loss_by_truth(
        MetricName.ACCURACY, truth.scores({"p": right}), truth.scores({"p": wrong})
    )
    assert (1.0, 0.9) == (loss.parent, loss.candidate)
    assert pytest.approx(0.1) == loss.value
    assert 0.03 < loss.lower < 0.1 < loss.upper < 0.18


def test_the_loss_of_numbers_is_how_much_the_error_grew() -> None:
    """Beside the parent's error."""
    truth = Truth(np.arange(40.0), MetricName.MAE)
    before, after = np.arange(40.0)[:, None] + 1, np.arange(40.0)[:, None] + 1.5
    loss = loss_by_truth(MetricName.MAE, truth.scores({"y": before}), truth.scores({"y": after}))
    assert 0.5 == pytest.approx(loss.value)
