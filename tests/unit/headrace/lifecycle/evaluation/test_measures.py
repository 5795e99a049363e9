"""Values are those of scikit-learn, of rows as they are and of rows that are weighted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from headrace.lifecycle.evaluation.measures.classes import ClassMeasure
from headrace.lifecycle.evaluation.measures.labels import LabelMeasure
from headrace.lifecycle.evaluation.measures.means import MeanMeasure, TextScoreMeasure
from headrace.lifecycle.evaluation.measures.measure import Measure, ones
from headrace.lifecycle.evaluation.measures.metric_names import class_suffixes
from headrace.lifecycle.evaluation.measures.numbers import NumberMeasure
from headrace.lifecycle.evaluation.measures.probabilities import ProbabilityMeasure
from headrace.lifecycle.evaluation.measures.rankings import ranking_measure

ROWS = 200
RNG = np.random.default_rng(5)
COUNTS = RNG.integers(0, 4, ROWS)
"""How often a resample has each row."""


def both(measure: Measure) -> tuple[dict[str, float], dict[str, float]]:
    """The values of rows as they are, and with COUNTS."""
    plain = measure.values(ones(measure.rows))
    weighted = measure.values(np.stack([COUNTS, COUNTS]).astype(float))
    return (
        {name: float(of[0]) for name, of in plain.items()},
        {name: float(of[1]) for name, of in weighted.items()},
    )


@pytest.mark.parametrize("count", [2, 3, 7])
def test_classes(count: int) -> None:
    """Accuracy, precision, recall, F1, their means, and Matthews' coefficient."""
    truth = RNG.integers(0, count, ROWS)
    said = np.where(RNG.random(ROWS) < 0.6, truth, RNG.integers(0, count, ROWS))
    names = [f"c{n}" for n in range(count)]
    found = both(ClassMeasure(truth, said, names, 1 if count == 2 else -1))
    for values, weights in zip(found, (None, COUNTS), strict=True):
        given = {"sample_weight": weights}
        assert values["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said, **given))
        assert values["balanced_accuracy"] == pytest.approx(
            metrics.balanced_accuracy_score(truth, said, **given)
        )
        assert values["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, said, **given))
        for average in ("macro", "weighted"):
            wanted = metrics.precision_recall_fscore_support(
                truth, said, average=average, zero_division=0, **given
            )
            names_of = [f"{name}_{average}" for name in ("precision", "recall", "f1")]
            assert wanted[:3] == pytest.approx([values[name] for name in names_of])
        by_class = metrics.f1_score(truth, said, average=None, **given)
        assert by_class == pytest.approx([values[f"f1.{name}"] for name in names])
        if count == 2:
            assert values["f1"] == pytest.approx(by_class[1])


def test_rows_without_an_answer_are_wrong() -> None:
    """They count in accuracy and recall, and are of no class."""
    measure = ClassMeasure(np.array([0, 0, 1, 1]), np.array([0, -1, 1, -1]), ["a", "b"])
    values = both_plain(measure)
    assert (0.5, 0.5, 1.0) == (values["accuracy"], values["recall.a"], values["precision.a"])
    assert [[1, 0, 1], [0, 1, 1]] == measure.confusion().tolist()


@pytest.mark.parametrize("count", [2, 4])
def test_probabilities(count: int) -> None:
    """Areas, log loss, Brier score; scores that are equal are ties."""
    truth = RNG.integers(0, count, ROWS)
    table = np.round(RNG.dirichlet(np.ones(count), ROWS), 2) + 1e-3
    table[np.arange(ROWS), truth] += 0.3
    table /= table.sum(axis=1, keepdims=True)
    table = np.round(table, 2)
    table[:, 0] += 1 - table.sum(axis=1)
    found = both(ProbabilityMeasure(truth, table, [f"c{n}" for n in range(count)]))
    for values, weights in zip(found, (None, COUNTS), strict=True):
        given = {"sample_weight": weights}
        labels = list(range(count))
        clipped = np.clip(table, np.finfo(float).eps, 1)
        losses = -np.log(clipped[np.arange(ROWS), truth])
        assert values["log_loss"] == pytest.approx(np.average(losses, weights=weights))
        brier = metrics.brier_score_loss(
            truth if count == 2 else np.eye(count)[truth],
            table[:, 1] if count == 2 else table,
            **given,
        )
        assert values["brier"] == pytest.approx(brier)
        if count == 2:
            assert values["roc_auc"] == pytest.approx(
                metrics.roc_auc_score(truth, table[:, 1], **given)
            )
            assert values["average_precision"] == pytest.approx(
                metrics.average_precision_score(truth, table[:, 1], **given)
            )
        else:
            wanted = [metrics.roc_auc_score(truth == n, table[:, n], **given) for n in labels]
            assert wanted == pytest.approx([values[f"roc_auc.c{n}"] for n in labels])
            assert np.mean(wanted) == pytest.approx(values["roc_auc_macro"])
            precisions = [
                metrics.average_precision_score(truth == n, table[:, n], **given) for n in labels
            ]
            assert np.mean(precisions) == pytest.approx(values["average_precision_macro"])


def test_calibration_error() -> None:
    """The mean gap between confidence and the share of right answers: ten are 0.75 sure, and six right."""
    table = np.tile([0.25, 0.75], (10, 1))
    truth = np.array([1] * 6 + [0] * 4)
    measure = ProbabilityMeasure(truth, table, ["a", "b"])
    assert 0.15 == pytest.approx(both_plain(measure)["calibration_error"])
    count, sure, right = measure.reliability()
    (place,) = np.flatnonzero(count)
    assert (10, 0.75, 0.6) == pytest.approx((count[place], sure[place], right[place]))


def test_one_true_class_has_no_area() -> None:
    """It is said, not raised; the rest has values."""
    measure = ProbabilityMeasure(np.zeros(5, int), np.tile([0.9, 0.1], (5, 1)), ["a", "b"])
    assert {"roc_auc", "average_precision"} == set(measure.undefined())
    assert {"log_loss", "brier", "calibration_error"} == set(both_plain(measure))


def test_numbers() -> None:
    """Means of errors, R² and the median; the relative error only where nothing is 0."""
    truth = RNG.normal(50, 10, ROWS)
    said = truth + RNG.normal(1, 3, ROWS)
    found = both(NumberMeasure(truth, said))
    for values, weights in zip(found, (None, COUNTS), strict=True):
        given = {"sample_weight": weights}
        square = metrics.mean_squared_error(truth, said, **given)
        wanted = {
            "mse": square,
            "rmse": math.sqrt(square),
            "mae": metrics.mean_absolute_error(truth, said, **given),
            "r2": metrics.r2_score(truth, said, **given),
            "mape": metrics.mean_absolute_percentage_error(truth, said, **given),
            "bias": np.average(said - truth, weights=weights),
        }
        assert wanted == pytest.approx({name: values[name] for name in wanted})
        repeated = said - truth if weights is None else np.repeat(said - truth, weights)
        assert np.median(repeated) == pytest.approx(values["error_p50"])
        assert np.median(np.abs(repeated)) == pytest.approx(values["median_absolute_error"])
    assert {"mape"} == set(NumberMeasure(truth - truth[0], said).undefined())
    assert {"r2"} == set(NumberMeasure(np.ones(3), np.arange(3.0)).undefined())


def test_rankings() -> None:
    """Gains are scikit-learn's; a score that says nothing earns nothing."""
    relevance = np.array([[3.0, 0, 1, 2], [0, 0, 0, 1], [0, 0, 0, 0]])
    scores = np.array([[0.1, 0.9, 0.5, 0.4], [0.4, 0.3, 0.2, 0.1], [1, 2, 3, 4]])
    groups = np.repeat(np.arange(3), 4)
    measure = ranking_measure(relevance.ravel(), scores.ravel(), groups, at=2)
    values = both_plain(measure)
    gains = metrics.ndcg_score(relevance[:2], scores[:2], k=2)
    assert gains == pytest.approx(values["ndcg_at_2"])
    assert 0.5 == values["hit_rate_at_2"]  # of the third group nothing is relevant
    assert (1 / 3 + 0) / 2 == pytest.approx(values["recall_at_2"])
    assert (1 / 2 + 1 / 4) / 2 == pytest.approx(values["mrr"])
    constant = ranking_measure(relevance[1], np.zeros(4), np.zeros(4, int), at=2)
    assert 0.0 == both_plain(constant)["ndcg_at_2"]


def test_labels_of_which_any_number_may_hold() -> None:
    """Subset accuracy, Hamming loss, F1 and areas."""
    truth = RNG.random((ROWS, 3)) < 0.4
    table = np.clip(truth * 0.3 + RNG.random((ROWS, 3)) * 0.7, 0, 1)
    measure = LabelMeasure(truth, table, ["a", "b", "c"])
    said = table >= 0.5
    for values, weights in zip(both(measure), (None, COUNTS), strict=True):
        given = {"sample_weight": weights}
        wanted = {
            "subset_accuracy": metrics.accuracy_score(truth, said, **given),
            "hamming_loss": metrics.hamming_loss(truth, said, **given),
            "f1_micro": metrics.f1_score(truth, said, average="micro", **given),
            "f1_macro": metrics.f1_score(truth, said, average="macro", **given),
            "roc_auc_macro": metrics.roc_auc_score(truth, table, **given),
        }
        assert wanted == pytest.approx({name: values[name] for name in wanted})


def test_means_and_perplexity() -> None:
    """Rows without a value are left out of their mean; perplexity is of tokens, not of rows."""
    mean = MeanMeasure({"a": np.array([1, 0, np.nan]), "b": np.array([np.nan] * 3)})
    values = both_plain(mean)
    assert (0.5, True) == (values["a"], math.isnan(values["b"]))
    assert {"b"} == set(mean.undefined())
    scores = TextScoreMeasure(np.log([0.5**3, 0.25]), np.array([3.0, 1.0]))
    assert 2 ** (5 / 4) == pytest.approx(both_plain(scores)["perplexity"])


def test_names_of_classes_in_metrics() -> None:
    """They are plain, and no two are alike."""
    assert ("a_b", "a_b_2", "__", "___2") == class_suffixes(["a b", "a/b", "猫猫", "狗狗"])


def both_plain(measure: Measure) -> dict[str, float]:
    return {name: float(of[0]) for name, of in measure.values(ones(measure.rows)).items()}
