"""Figures are what the library says that everybody compares with, and intervals hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from headrace_monitor.domain.quality.auc import auc_figure
from headrace_monitor.domain.quality.classification import class_figures, judged_arrays
from headrace_monitor.domain.quality.estimates import calibrate, estimated_figures
from headrace_monitor.domain.quality.figures import Figure
from headrace_monitor.domain.quality.regression import number_figures
from headrace_monitor.domain.quality.tallies import Judgement, Tally, bin_of, total


def tally_of(predicted: list[str], truth: list[str], scores: list[float] | None = None) -> Tally:
    """What is counted of answers and their truth; the scores are of the class `yes`."""
    tally = Tally()
    for place, (said, true) in enumerate(zip(predicted, truth, strict=True)):
        weight = bin_of(scores[place]) if scores else -1
        tally.count_class(said, weight, "yes" if scores else "")
        is_event = true == "yes" if scores else said == true
        tally.judge_class(Judgement(said, true, said == true, is_event, weight), 0.0)
    return tally


def found_in(tally: Tally) -> dict[tuple[str, str], Figure]:
    """The figures by name and class."""
    return {(each.name, each.of): each for each in class_figures(tally)}


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_classes_are_those_of_scikit_learn(seed: int) -> None:
    """Accuracy, and precision, recall and F1 of each class and their means; within their intervals."""
    random = np.random.default_rng(seed)
    truth = random.choice(["a", "b", "c"], 500, p=[0.6, 0.3, 0.1]).tolist()
    predicted = [
        each if random.random() < 0.7 else str(random.choice(["a", "b", "d"])) for each in truth
    ]
    found = found_in(tally_of(predicted, truth))
    assert metrics.accuracy_score(truth, predicted) == pytest.approx(found["accuracy", ""].value)
    for average in ("macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(
            truth, predicted, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert pytest.approx(value) == found[f"{name}_{average}", ""].value
    labels = ["a", "b", "c", "d"]
    of_each = metrics.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    for name, values in zip(("precision", "recall", "f1"), of_each, strict=False):
        for label, value in zip(labels, values, strict=True):
            if (name, label) in found:
                assert pytest.approx(value) == found[name, label].value
    assert all(each.low <= each.value <= each.high for each in found.values())


def test_the_area_is_that_of_scikit_learn_within_what_the_bins_leave_open() -> None:
    """Scores in 1,000 bins give it to a thousandth; the interval is DeLong's, and wider by that."""
    random = np.random.default_rng(5)
    truth = random.random(4_000) < 0.3
    scores = np.clip(random.normal(np.where(truth, 0.6, 0.45), 0.15), 0, 1)
    words = np.where(truth, "yes", "no").tolist()
    tally = tally_of(words, words, scores.tolist())
    figure = found_in(tally)["roc_auc", "yes"]
    assert abs(metrics.roc_auc_score(truth, scores) - figure.value) < 0.001
    assert 0.01 < figure.high - figure.low < 0.05


def test_a_perfect_area_of_few_rows_is_not_certain() -> None:
    """Ten rows that are all in order have an interval all the same."""
    truth = ["yes"] * 5 + ["no"] * 5
    tally = tally_of(truth, truth, [0.9] * 5 + [0.1] * 5)
    figure = auc_figure(*judged_arrays(tally.judged), "yes")
    assert figure is not None
    assert 1.0 == figure.value
    assert figure.low < 0.7


def test_figures_of_numbers() -> None:
    """Mean squares, absolutes and bias, with the interval of a mean."""
    random = np.random.default_rng(2)
    errors = random.normal(0.5, 2.0, 1_000)
    tally = Tally()
    for error in errors.tolist():
        tally.count_number()
        tally.judge_number(error, 60.0)
    found = {each.name: each for each in number_figures(tally)}
    assert pytest.approx(np.mean(errors**2)) == found["mse"].value
    assert pytest.approx(np.abs(errors).mean()) == found["mae"].value
    assert pytest.approx(errors.mean()) == found["bias"].value
    width = found["bias"].high - found["bias"].low
    assert pytest.approx(2 * 1.96 * errors.std(ddof=1) / math.sqrt(1_000), rel=1e-3) == width
    assert pytest.approx(60_000.0) == tally.delay_seconds


def test_tallies_add_up() -> None:
    """Two halves give what the whole does, whatever they hold."""
    random = np.random.default_rng(3)
    truth = random.choice(["yes", "no"], 200).tolist()
    predicted = random.choice(["yes", "no"], 200).tolist()
    scores = random.random(200).tolist()
    whole = tally_of(predicted, truth, scores)
    halves = [
        tally_of(predicted[part], truth[part], scores[part])
        for part in (slice(80), slice(80, None))
    ]
    assert whole == total(halves)


def test_what_is_taken_away_leaves_nothing() -> None:
    """An answer and its truth that are taken away again are counted nowhere."""
    tally = tally_of(["yes"], ["no"], [0.7])
    tally.judge_class(Judgement("yes", "no", False, False, bin_of(0.7)), 0.0, -1)
    tally.count_class("yes", bin_of(0.7), "yes", -1)
    tally.count_number()
    tally.judge_number(0.1, 3.3)
    tally.judge_number(0.1, 3.3, -1)
    tally.count_number(-1)
    assert tally.is_empty
    assert not list(class_figures(tally))
    assert (0.0, 0.0) == (tally.sums.error, tally.delay_seconds)


OF_TWO = (
    ("accuracy", ""),
    ("precision", "yes"),
    ("recall", "yes"),
    ("f1", "yes"),
    ("roc_auc", "yes"),
)


def rows(random: np.random.Generator, count: int, spread: float) -> Tally:
    """Answers of a version that is too sure of itself, the closer together the smaller `spread`."""
    chances = 1 / (1 + np.exp(-random.normal(0, spread, count)))
    truth = np.where(random.random(count) < chances, "yes", "no").tolist()
    overconfident = np.clip(chances * 1.4 - 0.2, 0, 1).tolist()
    return tally_of(np.where(chances > 0.5, "yes", "no").tolist(), truth, overconfident)


def test_an_estimate_sees_that_answers_became_less_sure() -> None:
    """Learnt from well-separated rows, it says of closer ones how much worse they are, without labels.

    Its intervals hold what they say, within chance.
    """
    random = np.random.default_rng(11)
    earlier = rows(random, 10_000, 2.5)
    calibration = calibrate(earlier.judged)
    assert calibration is not None
    before = found_in(earlier)
    held = dict.fromkeys(OF_TWO, 0)
    for _ in range(30):
        later = rows(random, 1_000, 1.0)
        true = found_in(later)
        estimates = {(each.name, each.of): each for each in estimated_figures(later, calibration)}
        for key in OF_TWO:
            estimate = estimates[key]
            assert estimate.estimated
            assert (
                abs(estimate.value - true[key].value) < 0.07 < before[key].value - true[key].value
            )
            held[key] += estimate.low <= true[key].value <= estimate.high
    assert min(held.values()) >= 25


def test_of_many_classes_accuracy_and_precision_are_estimated() -> None:
    """Which class a wrong answer should have been nobody knows: no recall is claimed."""
    random = np.random.default_rng(12)
    tally = Tally()
    for confidence in random.random(5_000).tolist():
        said = str(random.integers(5))
        true = said if random.random() < confidence else "other"
        place = bin_of(confidence)
        tally.count_class(said, place, "")
        tally.judge_class(Judgement(said, true, said == true, said == true, place), 0.0)
    calibration = calibrate(tally.judged)
    assert calibration is not None
    found = list(estimated_figures(tally, calibration))
    assert {"accuracy", "precision"} == {each.name for each in found}
    assert abs(found[0].value - tally.correct / 5_000) < 0.01


def test_nothing_is_estimated_from_a_handful() -> None:
    """Fewer than 30 labels teach nothing."""
    assert calibrate({500: (10, 19)}) is None
    assert calibrate({500: (10, 20)}) is not None
