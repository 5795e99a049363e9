"""What a model hangs on over a sample, where that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from headrace import errors
from headrace.lifecycle.explanation import (
    Effort,
    PlannedCost,
    SampleExplanation,
    explain_sample,
)
from headrace.lifecycle.explanation.html_report import sample_report
from headrace.lifecycle.explanation.importance import loss_of
from headrace.lifecycle.explanation.plots import plot_sample
from headrace.lifecycle.predictors import SessionPredictor
from tests.unit.headrace.lifecycle.explanation.nets import session
from tests.unit.headrace.lifecycle.graphs import linear

ROWS = np.random.default_rng(4).normal(size=(60, 3)).astype(np.float32)
TRUTH = ROWS @ np.array([2, 1, 0], np.float32)


async def explained(**given: Any) -> SampleExplanation:
    """The explanation of 2a + b over rows."""
    names = {"x": ["a", "<b>", "idle"]}
    graph = linear([[2.0], [1.0], [0.0]], [0.0])
    return await explain_sample(session(graph), {"x": ROWS}, names=names, **given)


@pytest.mark.parametrize("method", ["occlusion", "leave-one-in", "shapley", "integrated-gradients"])
async def test_mean_amounts_are_known_of_a_linear_model(method: str) -> None:
    """Of each feature the weight times its mean distance from the mean."""
    found = await explained(method=method, curves=0)
    distances = np.abs(ROWS - ROWS.mean(axis=0)).mean(axis=0)
    np.testing.assert_allclose(found.mean_amounts, distances * [2, 1, 0], atol=5e-3)
    np.testing.assert_allclose(found.mean_values, 0, atol=5e-3)


async def test_importance_is_twice_the_variance_that_is_shuffled() -> None:
    """Of squared errors of a model that is right, that is what shuffling a feature adds."""
    found = await explained(truth=TRUTH, repeats=20, curves=0)
    assert "squared error" == found.loss
    assert found.loss_value == pytest.approx(0, abs=1e-6)
    added = [each.loss for each in found.importances]
    variances = 2 * ROWS.var(axis=0) * [4, 1, 0]
    np.testing.assert_allclose(added, variances, rtol=0.2, atol=1e-6)


async def test_curves_are_lines_of_a_linear_model() -> None:
    """Partial dependence of 2a + b on a has the slope 2, and the largest feature is first."""
    costs: list[PlannedCost] = []
    found = await explained(curves=2, on_cost=costs.append)
    assert ["a", "<b>"] == [each.feature for each in found.curves]
    values = [float(value) for value in found.curves[0].values]
    slopes = np.diff([line[0] for line in found.curves[0].answers]) / np.diff(values)
    np.testing.assert_allclose(slopes, 2, rtol=1e-3)
    assert found.rows <= costs[0].rows
    assert [0, 1, 2] == found.order()


async def test_reports_escape_names_and_have_their_plot() -> None:
    """A column's name is a text, whatever it holds; the page brings the plot along."""
    found = await explained(truth=TRUTH)
    png = plot_sample(found)
    assert png.startswith(b"\x89PNG")
    page = sample_report(found, png)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "data:image/png;base64," in page


async def test_more_than_may_be_asked_is_refused_before_it_is() -> None:
    """The rows themselves were asked by then, and nothing else."""
    with pytest.raises(errors.InvalidArgument, match="may ask 100"):
        await explained(effort=Effort(max_rows=100))


def test_losses_suit_outputs() -> None:
    """Log loss of probabilities, errors of scores; targets are places of classes or labels."""
    shares = np.array([[0.5, 0.5], [0.5, 0.5]])
    name, loss = loss_of(np.array([0, 1]), shares, "probability")
    assert "log loss" == name
    assert loss(shares) == pytest.approx(np.log(2))
    target = np.array(["dog", "cat"], object)
    name, loss = loss_of(target, shares, "score", ["cat", "dog"])
    assert ("error rate", 0.5) == (name, loss(shares))
    with pytest.raises(errors.InvalidArgument, match="neither places of classes nor labels"):
        loss_of(target, shares, "score")
    with pytest.raises(errors.InvalidArgument, match="other classes than 0 to 1"):
        loss_of(np.array([0, 2]), shares, "score")
    with pytest.raises(errors.InvalidArgument, match="the output is a number"):
        loss_of(target, np.ones((2, 1)), "value")


def labelled(names: list[str]) -> SessionPredictor:
    """Probabilities of three columns beside the name of the largest."""
    nodes = [
        helper.make_node("Softmax", ["x"], ["probabilities"]),
        helper.make_node("ArgMax", ["probabilities"], ["place"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder",
            ["place"],
            ["label"],
            domain="ai.onnx.ml",
            keys_int64s=[*range(len(names))],
            values_strings=names,
        ),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.STRING, ["n"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(names)]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(names)])
    graph = helper.make_graph(nodes, "labelled", [given], outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return session(model.SerializeToString())


async def test_classes_have_the_names_that_the_version_answers_beside_them() -> None:
    """Truths are texts, as of scikit-learn, and one of them is never answered."""
    names = ["blue", "green", "red"]
    rows = ROWS.copy()
    rows[:, 2] -= 9  # never red
    truth = np.array(names, object)[rows.argmax(axis=1)]
    truth[0] = "red"
    found = await explain_sample(labelled(names), {"x": rows}, truth=truth, curves=0)
    assert "log loss" == found.loss
    assert {"blue", "green"} == set(found.by_class)
    with pytest.raises(errors.InvalidArgument, match="pink"):
        await explain_sample(
            labelled(names), {"x": ROWS}, truth=np.full(len(ROWS), "pink", object), curves=0
        )


def test_booleans_are_two_classes() -> None:
    """True is the second."""
    answers = np.array([[0.9, 0.1], [0.2, 0.8]])
    plain = loss_of(np.array([0, 1]), answers, "probability")[1](answers)
    for written in ([False, True], ["False", "true"]):
        assert loss_of(np.array(written), answers, "probability")[1](answers) == plain
