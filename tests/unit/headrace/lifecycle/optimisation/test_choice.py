"""Which candidate is chosen, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from headrace import errors
from headrace.lifecycle.evaluation.data import columns_as_rows
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.tasks import Task
from headrace.lifecycle.optimisation.candidates import Candidate
from headrace.lifecycle.optimisation.choice import Goal, Measured, best, front
from headrace.lifecycle.optimisation.differences import Difference, difference_of
from headrace.lifecycle.optimisation.judging import Allowed
from headrace.lifecycle.optimisation.losses import Criterion, Loss, Truth
from headrace.lifecycle.optimisation.measuring.costs import Cost
from headrace.lifecycle.optimisation.methods import Method
from headrace.lifecycle.predictors.predictor import Array


def measured(name: str, size: int, loss: float, p50: float, upper: float = 0.0) -> Measured:
    difference = Difference(100, 0.5, 0.1, 0.1, 1.0, Loss("lost", loss, loss, max(loss, upper)))
    candidate = Candidate((Method.INT4,), None, difference)
    return Measured(name, size, loss, Cost(p50, 1 / p50, 9, cpu_seconds=p50), candidate)


QUESTION = Question(("truth",))
LABELS = {"animal": ("cat", "dog")}
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


def loss_of(
    columns: Mapping[str, object],
    before: Array,
    after: Array,
    metric: str,
    question: Question = QUESTION,
    output: str = "y",
) -> Loss:
    truth = Truth(columns_as_rows(columns), Criterion(question, metric, LABELS))
    judged = truth.judged({output: before})
    return truth.loss(judged, truth.judged({output: after}, judged.task))


def test_the_loss_of_a_metric_is_that_of_the_same_rows() -> None:
    """The interval is of differences by row, and holds the loss."""
    right = np.eye(2)[[0, 1] * 50]
    wrong = right.copy()
    wrong[:10] = wrong[:10, ::-1]
    loss = loss_of({"truth": ["cat", "dog"] * 50}, right, wrong, "", output="animal")
    assert ("accuracy lost", 1.0, 0.9) == (loss.measure, loss.parent, loss.candidate)
    assert pytest.approx(0.1) == loss.value
    assert 0.03 < loss.lower < 0.1 < loss.upper < 0.18


@pytest.mark.parametrize(
    ("metric", "words", "value"),
    [
        ("f1_macro", "f1_macro lost", 0.1),
        ("roc_auc", "roc_auc lost", 0.1),
        ("recall.dog", "recall.dog lost", 0.1),
        ("accuracy{region=eu}", "accuracy lost", 0.2),
        ("accuracy{region=us}", "accuracy lost", 0.0),
        ("log_loss", "log_loss grown, beside the parent's", None),
    ],
)
def test_every_metric_of_an_evaluation_can_be_what_is_lost(
    metric: str, words: str, value: float | None
) -> None:
    """By the name that evaluations give it, also of a slice; what is an error grows."""
    truth = np.eye(2)[[0, 1] * 50]
    right = truth * 0.8 + 0.1
    wrong = right.copy()
    wrong[:10] = wrong[:10, ::-1]
    columns = {"truth": ["cat", "dog"] * 50, "region": ["eu"] * 50 + ["us"] * 50}
    loss = loss_of(columns, right, wrong, metric, output="animal")
    assert words == loss.measure
    if value is None:
        grown = (0.1 * np.log(0.1) + 0.9 * np.log(0.9)) / np.log(0.9) - 1
        assert pytest.approx(grown) == loss.value
    else:
        assert pytest.approx(value, abs=0.06) == loss.value
    assert loss.lower <= loss.value <= loss.upper


def test_the_loss_of_numbers_is_how_much_the_error_grew() -> None:
    """Beside the parent's error."""
    before, after = np.arange(40.0)[:, None] + 1, np.arange(40.0)[:, None] + 1.5
    loss = loss_of({"truth": np.arange(40.0) * 1.0 + 0.25}, before, after, "mae")
    assert pytest.approx((1.25 - 0.75) / 0.75) == loss.value


def test_an_answer_that_is_no_number_is_all_lost() -> None:
    """Though the mean error of the other rows is what it was."""
    before = np.arange(40.0)[:, None] + 1
    after = before.copy()
    after[3] = np.nan
    loss = loss_of({"truth": np.arange(40.0) + 0.25}, before, after, "rmse")
    assert (np.inf, np.inf) == (loss.value, loss.lower)


@pytest.mark.parametrize(
    ("metric", "what"),
    [
        ("bias", "says of no version that it is better"),
        ("accuracy", "'accuracy' is not measured here; there are 'mse'"),
        ("rmse{region=us}", "no slice 'region=us'; there are 'region=eu'"),
        ("r2{region=eu}", "'r2' has no value in these rows"),
    ],
)
def test_a_metric_that_is_not_there_is_refused_by_name(metric: str, what: str) -> None:
    """The message has those that there are."""
    columns = {"truth": np.full(40, 2.5), "region": ["eu"] * 40}
    with pytest.raises(errors.InvalidArgument, match=what):
        loss_of(columns, np.ones((40, 1)), np.ones((40, 1)), metric)


def test_a_ranking_is_judged_by_its_groups() -> None:
    """`ndcg` stands for the one that is measured, at ten."""
    columns = {"truth": [1.0, 0.0] * 20, "user": list(np.repeat(np.arange(20), 2))}
    right = np.array([[1.0], [0.0]] * 20)
    question = Question(("truth",), task=Task.RANKING, group_by="user")
    loss = loss_of(columns, right, 1 - right, "ndcg", question)
    assert ("ndcg_at_10 lost", 1.0) == (loss.measure, loss.parent)
    assert pytest.approx(1 - 1 / np.log2(3)) == loss.value


def test_what_loses_batching_is_left_out_unless_it_may() -> None:
    """Of `auto`, what keeps it is chosen though it is larger."""
    kept, mixed = measured("static", 30, 0.001, 1.0), measured("dynamic", 25, 0.001, 1.0)
    mixed = replace(mixed, loses_batching=True, may_lose_batching=False)
    chosen = best((PARENT, kept, mixed), Goal.SIZE, Allowed())
    assert chosen is kept
    assert None is best((PARENT, mixed), Goal.SIZE, Allowed())
    may = replace(mixed, may_lose_batching=True)
    assert may is best((PARENT, kept, may), Goal.SIZE, Allowed())
