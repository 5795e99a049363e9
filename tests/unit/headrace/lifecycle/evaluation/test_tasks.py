"""The task follows from target and outputs, is said, and can be set; what makes none is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.datatype_names import Datatype
from headrace.errors import InvalidArgument
from headrace.lifecycle.evaluation import Question, Task, evaluate_rows, read_data
from headrace.state.records import Signature, TensorSpec
from tests.unit.headrace.lifecycle.evaluation.answering import Answering, Array, evaluated

COUNT = 40
X = np.arange(COUNT, dtype=np.float32)
HALF = (X >= COUNT // 2).astype(int)
THIRDS = (X // (COUNT / 3)).astype(int)


def two(x: Array) -> Array:
    """Probabilities of two classes; the second is sure from the middle on."""
    second = np.where(x >= COUNT // 2, 0.9, 0.2).astype(np.float32)
    return np.concatenate([1 - second, second], axis=1)


def three(x: Array) -> Array:
    """Scores of three classes: no probabilities."""
    place = (x // (COUNT / 3)).astype(int)
    scores: Array = (np.arange(3)[None, :] == place).astype(np.float32) * 5 - 1
    return scores


def first(x: Array) -> Array:
    """The column itself, one value a row."""
    return x[:, 0]


ROWS: list[tuple[Any, Array | list[str], dict[str, Any], Task, str, str]] = [
    (lambda x: {"p": two(x)}, HALF, {}, Task.BINARY, "'p', probabilities", "roc_auc"),
    (lambda x: {"y": two(x)}, HALF.astype(float), {}, Task.BINARY, "probabilities", "brier"),
    (
        lambda x: {"label": HALF[x[:, 0].astype(int)], "probabilities": two(x)},
        HALF,
        {},
        Task.BINARY,
        "'label', a class, and 'probabilities', its probabilities",
        "average_precision",
    ),
    (
        lambda x: {"label": np.array(["no", "yes"], object)[HALF[x[:, 0].astype(int)]]},
        ["yes" if each else "no" for each in HALF],
        {},
        Task.BINARY,
        "'label', a class",
        "f1.yes",
    ),
    (lambda x: {"logits": three(x)}, THIRDS, {}, Task.MULTICLASS, "softmax", "roc_auc_macro"),
    (lambda x: {"out": three(x)}, THIRDS, {}, Task.MULTICLASS, "softmax", "log_loss"),
    (lambda x: {"out": two(x)[:, 1]}, HALF, {}, Task.BINARY, "the second of two", "roc_auc"),
    (lambda x: {"logit": x - 19.5}, HALF, {}, Task.BINARY, "sigmoid", "roc_auc"),
    (lambda x: {"out": first(x)}, X * 2, {}, Task.REGRESSION, "'out', a number", "rmse"),
    (
        lambda x: {"out": two(x)[:, 1]},
        HALF,
        {"task": Task.REGRESSION},
        Task.REGRESSION,
        "a number",
        "mae",
    ),
    (lambda x: {"out": np.hstack([x, x])}, X, {"output": "out[1]"}, Task.REGRESSION, "[1]", "r2"),
    (
        lambda x: {"score": first(x)},
        HALF,
        {"task": Task.RANKING, "group_by": "user"},
        Task.RANKING,
        "'score'",
        "ndcg_at_10",
    ),
]


@pytest.mark.parametrize(("outputs", "target", "asked", "task", "how", "metric"), ROWS)
async def test_tasks(
    outputs: Any, target: Any, asked: dict[str, Any], task: Task, how: str, metric: str
) -> None:
    """Each is found, or taken as it is set; what was read from which output is said."""
    columns = {"x": X, "y": target, "user": np.arange(COUNT) % 4}
    ignored = () if "group_by" in asked else ("user",)
    found = await evaluated(outputs, columns, ignored=ignored, **asked)
    assert task is found.task
    assert how in found.how
    measured = found.metric(metric)
    assert measured is not None, [each.name for each in found.metrics]
    assert measured.lower is not None
    assert measured.upper is not None
    assert measured.lower <= measured.value <= measured.upper


async def test_labels_name_classes() -> None:
    """A label file, or the caller, says what columns are called; the positive class may be the first."""
    yes = np.array(["yes" if each else "no" for each in HALF], object)
    columns = {"x": X, "y": yes}
    by_file = await evaluated(lambda x: {"p": two(x)}, columns, {"p": ("no", "yes")})
    by_caller = await evaluated(lambda x: {"p": two(x)}, columns, classes=("no", "yes"))
    assert ("no", "yes") == by_file.classes == by_caller.classes
    assert [each.value for each in by_file.metrics] == [each.value for each in by_caller.metrics]
    other = await evaluated(lambda x: {"p": two(x)}, columns, classes=("no", "yes"), positive="no")
    values = [each.metric(name) for each, name in ((other, "recall"), (by_file, "recall.no"))]
    assert values[0] is not None
    assert values[1] is not None
    assert values[0].value == values[1].value
    correlation = by_file.metric("mcc")  # is 1 in all resamples: that is no certainty
    assert correlation is not None
    assert (1.0, None) == (correlation.value, correlation.lower)
    assert 1.0 == other.metric("roc_auc").value  # type: ignore[union-attr]  # it is there


@pytest.mark.parametrize(
    ("columns", "asked", "said"),
    [
        ({"x": X}, {}, "there is no column 'y'; there are 'x'"),
        ({"x": X, "y": [None] * COUNT}, {}, "no row has a value in 'y'"),
        ({"x": X, "y": THIRDS}, {}, "the target has '2', which the version does not know"),
        ({"x": X, "y": ["cat"] * COUNT}, {}, "'cat', which the version does not know"),
        ({"x": X, "y": HALF}, {"output": "z"}, "no output 'z'"),
        ({"x": X, "y": HALF}, {"task": Task.RANKING}, "takes --group-by"),
        ({"x": X, "y": HALF}, {"task": Task.REGRESSION}, "is no number"),
        ({"x": X, "y": HALF}, {"positive": "7"}, "is not one of two classes"),
        ({"x": X, "y": HALF}, {"slice_by": ("z",)}, "no column 'z' to slice by"),
        ({"x": X, "y": HALF, "z": X}, {"target": ("y", "z")}, "are 0 or 1"),
    ],
)
async def test_what_cannot_be_evaluated(
    columns: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    """The message names what is wrong, and what there is."""
    with pytest.raises(InvalidArgument) as caught:
        await evaluated(lambda x: {"p": two(x)}, columns, **asked)
    assert said in caught.value.message
    assert "EVALUATION_IMPOSSIBLE" == caught.value.reason


async def test_answers_that_are_missing_count_as_wrong() -> None:
    """A version that answers NaN gains nothing by it, and the share is a metric of its own."""

    def silent(x: Array) -> dict[str, Array]:
        return {"p": np.where(x < 10, np.nan, two(x)).astype(np.float32)}

    found = await evaluated(silent, {"x": X, "y": HALF})
    values = {each.name: each.value for each in found.metrics}
    assert (0.75, 0.25) == (values["accuracy"], values["missing_predictions"])
    assert ((10, 0, 10), (0, 20, 0)) == found.confusion
    assert any("10 of 40 rows got no answer" in note for note in found.notes)
    numbers = await evaluated(
        lambda x: {"out": np.where(x[:, 0] < 10, np.nan, x[:, 0])}, {"x": X, "y": X * 1.0}
    )
    assert 0.0 == numbers.metric("rmse").value  # type: ignore[union-attr]  # it is there
    assert 0.25 == numbers.metric("missing_predictions").value  # type: ignore[union-attr]


async def test_a_constant_target_leaves_areas_undefined() -> None:
    """It is said why, and the rest is measured."""
    found = await evaluated(lambda x: {"p": two(x)}, {"x": X, "y": np.ones(COUNT, int)})
    assert found.metric("roc_auc") is None
    assert "all rows have the same true class" == found.undefined["roc_auc"]
    assert found.metric("accuracy") is not None
    assert any("same true class" in each for each in found.checks.warnings)


async def test_slices() -> None:
    """By values, or by quartiles of numbers that have many; small ones are named."""
    region = np.array(["eu"] * 35 + ["us"] * 5, object)
    found = await evaluated(
        lambda x: {"p": two(x)},
        {"x": X, "y": HALF, "region": region},
        slice_by=("region", "x"),
    )
    assert found.slices[:2] == ("region=eu", "region=us")
    assert 6 == len(found.slices)
    of_eu = found.metric("accuracy", "region=eu")
    assert of_eu is not None
    assert (1.0, 35) == (of_eu.value, of_eu.rows)
    assert any("few rows say little: 'region=us', 'x=up to" in note for note in found.notes)


async def test_labels_of_which_any_number_may_hold() -> None:
    """Several targets, or lists in one."""
    truth = np.stack([HALF, 1 - HALF], axis=1)
    outputs = lambda x: {"p": two(x)[:, ::-1]}  # noqa: E731
    several = await evaluated(outputs, {"x": X, "y": HALF, "z": 1 - HALF}, target=("y", "z"))
    listed = await evaluated(outputs, {"x": X, "y": truth})
    assert Task.MULTILABEL is several.task is listed.task
    assert 1.0 == several.metric("subset_accuracy").value  # type: ignore[union-attr]
    assert 1.0 == listed.metric("f1_micro").value  # type: ignore[union-attr]
    assert several.metric("f1.z") is not None


async def test_data_are_looked_at_first() -> None:
    """Missing values, repeated rows, constant columns, a column that tells the target, rare classes."""
    y = np.array([0] * 38 + [1, 1] * 1 + [np.nan] * 4)
    columns = {
        "x": np.concatenate([np.full(3, 1.0), np.arange(41.0)]),
        "y": y,
        "told": np.array([None if np.isnan(each) else f"t{each}" for each in y], object),
        "one": np.ones(44),
    }
    found = (await evaluated(lambda x: {"p": two(x)}, columns, ignored=("told", "one"))).checks
    assert (44, 4, 3) == (found.rows, found.missing_targets, found.duplicates)
    assert {"y": 4, "told": 4} == found.missing
    assert (("one",), ("told",)) == (found.constant, found.same_as_target)
    assert {"0": 38, "1": 2} == found.balance
    said = " ".join(found.warnings)
    for part in ("4 of 44 rows have no target", "tells the target", "class '1' has 2 of 40"):
        assert part in said


COLOURS = np.array(["blue", "green", "red"], object)


def never_red(x: Array) -> dict[str, Array]:
    """A class of three with its probabilities: green from the middle on, never red."""
    second = np.where(x >= COUNT // 2, 0.6, 0.1).astype(np.float32)
    table = np.concatenate([0.8 - second, second, np.full_like(second, 0.2)], axis=1)
    return {"label": COLOURS[table.argmax(axis=1)], "probabilities": table}


async def test_the_column_of_a_class_that_was_never_answered_is_the_one_that_is_left() -> None:
    """Its rows count in the log loss: that without them would look better than the version is."""
    found = await evaluated(never_red, {"x": X, "y": COLOURS[THIRDS].tolist()})
    assert Task.MULTICLASS is found.task
    chosen = never_red(X[:, None])["probabilities"][np.arange(COUNT), THIRDS]
    metric = found.metric("log_loss")
    assert metric is not None
    assert metric.value == pytest.approx(-np.log(chosen).mean(), abs=1e-5)


async def test_probabilities_are_not_measured_where_columns_are_not_known() -> None:
    """Of two classes that were never answered nothing tells which is which; names do."""
    columns = {"x": X[:10], "y": ["red"] * 5 + ["green"] * 5}
    found = await evaluated(never_red, columns)
    assert Task.MULTICLASS is found.task
    assert found.metric("accuracy") is not None
    assert found.metric("log_loss") is None
    assert any("'green', 'red'" in each and "--classes" in each for each in found.notes)
    found = await evaluated(never_red, columns, classes=tuple(COLOURS))
    assert found.metric("log_loss") is not None


async def test_a_class_more_than_there_are_columns_is_refused() -> None:
    """A misspelt class is no class that the version never answers."""
    with pytest.raises(InvalidArgument, match="Red") as raised:
        await evaluated(never_red, {"x": X, "y": [*COLOURS[THIRDS[:-1]], "Red"]})
    assert "EVALUATION_IMPOSSIBLE" == raised.value.reason


@pytest.mark.parametrize(
    "written",
    [
        HALF.astype(bool),
        ["True" if each else "False" for each in HALF],
        ["true" if each else "false" for each in HALF],
    ],
)
async def test_true_and_false_are_what_exporters_make_of_them(written: Any) -> None:
    """A target of booleans is of the classes 0 and 1."""
    found = await evaluated(lambda x: {"p": two(x)}, {"x": X, "y": written})
    metric = found.metric("accuracy")
    assert metric is not None
    assert metric.value == 1
    assert ("0", "1") == found.classes


async def test_columns_without_names_of_inputs_are_told_in_their_order() -> None:
    """Nothing else says which is which, so who reads it can see that they are swapped."""

    class Wide(Answering):
        def __init__(self) -> None:
            super().__init__(lambda x: {"y": x[:, 0]})
            self.signature = Signature(
                (TensorSpec("x", Datatype.FP32, (-1, 2)),), self.signature.outputs
            )

    for columns, is_told in (({"b": X, "a": X}, True), ({"x[1]": X, "x[0]": X}, False)):
        data = read_data({**columns, "truth": X})
        found = await evaluate_rows(Wide(), data, Question(("truth",), resamples=10))
        assert is_told is any("in the order of the data: 'b', 'a'" in one for one in found.notes)


async def test_a_column_that_is_left_out_has_to_be_there() -> None:
    """A misspelt one would leave an id among the inputs."""
    with pytest.raises(InvalidArgument, match="there is no column 'idd'"):
        await evaluated(lambda x: {"p": two(x)}, {"x": X, "y": HALF}, ignored=("idd",))
