"""Recipes are measured on rows that they have not seen; overfitting and imbalance are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from headrace.errors import InvalidArgument
from headrace.lifecycle.evaluation import (
    balanced_rows,
    by_time,
    class_weights,
    cross_validated,
    folds,
    holdout,
    row_weights,
)
from tests.unit.headrace.lifecycle.evaluation.answering import Array
from tests.unit.headrace.lifecycle.graphs import linear

ROWS = 120
RNG = np.random.default_rng(4)
A, B = RNG.normal(size=(2, ROWS)).astype(np.float32)
Y = 2 * A - B + RNG.normal(0, 0.1, ROWS)


def least_squares(columns: Mapping[str, Array]) -> bytes:
    """A graph with the weights that fit the rows best."""
    x = np.stack([columns["a"], columns["b"], np.ones(len(columns["a"]))], axis=1)
    weights = np.linalg.lstsq(x, columns["y"].astype(float), rcond=None)[0]
    return linear([[weights[0]], [weights[1]]], [weights[2]])


def learnt_by_heart(columns: Mapping[str, Array]) -> Any:
    """A function that knows the classes of the rows that it has seen, and says 0 to all others."""
    known = dict(zip(columns["a"].tolist(), columns["y"].tolist(), strict=True))
    return lambda asked: {"label": np.array([known.get(a, 0) for a in asked["a"].tolist()])}


def test_a_graph_is_measured_as_it_will_be_served() -> None:
    """ONNX Runtime answers; the mean and its interval are of the folds, and fitting leaves no gap."""
    found = cross_validated(least_squares, {"a": A, "b": B, "y": Y}, "y", inputs={"x": ("a", "b")})
    error = found.metric("rmse")
    assert error is not None
    assert error.lower is not None
    assert error.upper is not None
    assert 0.05 < error.lower < 0.1 < error.upper < 0.15  # the noise is 0.1
    values = [each.validation["rmse"] for each in found.folds]
    assert np.mean(values) == pytest.approx(error.value)
    wide = np.sqrt(np.var(values, ddof=1) * (1 / 5 + 1 / 4)) * 2.776445
    assert wide == pytest.approx(error.upper - error.value)
    assert abs(found.gaps["rmse"]) < 0.02
    assert next(found.lines("rmse")).startswith("rmse 0.")


def test_learning_by_heart_shows_as_a_gap() -> None:
    """All right on rows that were trained on, and no better than the frequent class on others."""
    classes = (np.arange(ROWS) % 4 == 0).astype(int)
    found = cross_validated(learnt_by_heart, {"a": A, "y": classes}, "y", seed=1)
    accuracy = found.metric("accuracy")
    assert accuracy is not None
    assert (0.75, 0.25) == pytest.approx((accuracy.value, found.gaps["accuracy"]))
    assert [6] * 5 == [round(each.rows * 0.25) for each in found.folds]  # each fold has its share


def test_rows_without_a_target_are_left_out() -> None:
    """And a target that is not there, or a graph that takes other columns, is named."""
    columns = {"a": A, "b": B, "y": np.where(np.arange(ROWS) < 20, np.nan, Y)}
    found = cross_validated(least_squares, columns, "y", inputs={"x": ("a", "b")}, splits=4)
    assert [25] * 4 == [each.rows for each in found.folds]
    for target, inputs, said in (("z", None, "no column 'z'"), ("y", {"x": ("c",)}, "column 'c'")):
        with pytest.raises(InvalidArgument) as caught:
            cross_validated(least_squares, columns, target, inputs=inputs)
        assert said in caught.value.message


@pytest.mark.parametrize("seed", [0, 1])
def test_folds(seed: int) -> None:
    """Each row is held back once; classes keep their shares, groups stay together, a seed repeats them."""
    classes = np.arange(ROWS) % 3
    groups = np.arange(ROWS) // 10
    for given in (
        {},
        {"classes": classes},
        {"groups": groups},
        {"classes": classes, "groups": groups},
    ):
        found = folds(ROWS, 4, seed=seed, **given)
        held = np.concatenate([each.validation for each in found])
        assert list(range(ROWS)) == sorted(held.tolist())
        assert all(not set(each.training) & set(each.validation) for each in found)
        again = folds(ROWS, 4, seed=seed, **given)
        assert [e.validation.tolist() for e in found] == [e.validation.tolist() for e in again]
        if "groups" in given:
            assert all(
                not set(groups[each.training]) & set(groups[each.validation]) for each in found
            )
        elif "classes" in given:
            assert {10} == {
                count for e in found for count in np.bincount(classes[e.validation]).tolist()
            }


def test_a_holdout_has_its_share() -> None:
    """Less than half or more."""
    assert (24, 96) == tuple(map(len, (holdout(ROWS).validation, holdout(ROWS).training)))
    assert 90 == len(holdout(ROWS, 0.75).validation)


def test_parts_by_time_never_see_what_comes_later() -> None:
    """Rows of one moment are on one side, and a gap leaves out what was not known yet."""
    times = RNG.permutation(np.repeat(np.arange(24), 5))
    parts = by_time(times, 4, gap=10)
    assert 4 == len(parts)
    for part in parts:
        assert times[part.training].max() + 1 < times[part.validation].min()
    assert 24 * 5 - 25 == sum(len(part.validation) for part in parts)  # five moments go first
    with pytest.raises(InvalidArgument, match="3 different times"):
        by_time([1, 1, 2, 3], 5)


def test_rare_classes_are_made_up_for() -> None:
    """Weights are scikit-learn's; repeated or left out, all classes are as frequent."""
    from sklearn.utils.class_weight import compute_class_weight

    classes = np.array(["no"] * 90 + ["yes"] * 10)
    wanted = compute_class_weight("balanced", classes=np.array(["no", "yes"]), y=classes)
    assert wanted.tolist() == pytest.approx(list(class_weights(classes).values()))
    assert 100.0 == pytest.approx(row_weights(classes).sum())
    for how, count in (("over", 90), ("under", 10)):
        drawn = classes[balanced_rows(classes, how=how, seed=2)]
        assert [count, count] == np.unique(drawn, return_counts=True)[1].tolist()
    assert set(range(100)) == set(balanced_rows(classes).tolist())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rows": 3, "count": 5}, "3 rows cannot be parted"),
        ({"rows": 10, "classes": [0] * 9 + [1]}, "class '1' has 1 rows"),
        ({"rows": 10, "groups": [0, 1] * 5}, "2 groups"),
    ],
)
def test_what_cannot_be_parted(given: dict[str, Any], said: str) -> None:
    """The message has the count that is too small."""
    with pytest.raises(InvalidArgument, match=said):
        folds(**given)
