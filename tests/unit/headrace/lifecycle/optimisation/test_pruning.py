"""Channels that are removed, and what is left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from headrace import errors
from headrace.lifecycle.optimisation.pruning.channel_groups import channel_groups
from headrace.lifecycle.optimisation.pruning.importance import importance_of
from headrace.lifecycle.optimisation.pruning.magnitudes import without_small_weights
from headrace.lifecycle.optimisation.pruning.removal import layer_name, without_channels
from tests.unit.headrace.lifecycle.optimisation import small_graphs as graphs

DEAD = (1, 2, 5, 7)

Graph = Callable[[], onnx.ModelProto]


@pytest.mark.parametrize(
    ("make", "shape", "counts"),
    [
        (lambda: graphs.gemms("Relu", dead=DEAD), (40, 8), [12]),
        (lambda: graphs.gemms("Sigmoid", dead=DEAD), (40, 8), [12]),
        (lambda: graphs.gelu(dead=DEAD), (40, 5, 8), [12]),
        (lambda: graphs.convolutions(dead=DEAD), (40, 1, 8, 8), [12, 8]),
    ],
    ids=["gemm", "constant", "gelu", "convolutions"],
)
def test_channels_that_are_dead_are_removed_without_a_difference(
    make: Graph, shape: tuple[int, ...], counts: list[int]
) -> None:
    """A channel that gives the same for every row is in the bias behind it, or gave nothing."""
    model = make()
    rows = {"x": graphs.normal(9, *shape)}
    groups = channel_groups(model.graph)
    assert counts == [group.count for group in groups]
    importance = importance_of(model, [rows])
    kept = {layer_name(each): np.setdiff1d(np.arange(each.count), DEAD) for each in groups}
    smaller = without_channels(model, kept, importance.moments)
    onnx.checker.check_model(smaller, full_check=True)
    assert [count - 4 for count in counts] == [g.count for g in channel_groups(smaller.graph)]
    other = {"x": graphs.normal(10, *shape)}
    np.testing.assert_allclose(
        graphs.run(model, other)[0], graphs.run(smaller, other)[0], rtol=1e-4, atol=1e-4
    )


def test_the_least_important_channels_go_first() -> None:
    """Channels that say nothing are those that a share removes."""
    model = graphs.gemms("Relu", dead=DEAD)
    importance = importance_of(model, [{"x": graphs.normal(9, 40, 8)}])
    kept = importance.kept(4 / 12)
    assert [0, 3, 4, 6, 8, 9, 10, 11] == kept["h"].tolist()


def test_what_follows_from_other_channels_is_made_of_them() -> None:
    """A channel that is twice another is removed without a difference."""
    model = graphs.gemms("Relu")
    w, b = (onnx.numpy_helper.to_array(each).copy() for each in model.graph.initializer[:2])
    w[:, 4], b[4] = 2 * w[:, 3], 2 * b[3]
    for place, value in ((0, w), (1, b)):
        name = model.graph.initializer[place].name
        model.graph.initializer[place].CopyFrom(onnx.numpy_helper.from_array(value, name))
    rows = {"x": graphs.normal(9, 400, 8)}
    importance = importance_of(model, [rows])
    kept = {"h": np.setdiff1d(np.arange(12), [4])}
    smaller = without_channels(model, kept, importance.moments)
    before, after = graphs.run(model, rows)[0], graphs.run(smaller, rows)[0]
    assert np.abs(before - after).max() < 0.01 * before.std()


def test_pieces_of_rows_say_the_same_as_all_of_them() -> None:
    """Importance is counted piece by piece."""
    model = graphs.convolutions()
    rows = graphs.normal(9, 30, 1, 8, 8)
    whole = importance_of(model, [{"x": rows}])
    parts = importance_of(model, [{"x": rows[start : start + 7]} for start in range(0, 30, 7)])
    for name, scores in whole.scores.items():
        np.testing.assert_allclose(scores, parts.scores[name], rtol=1e-9)


def test_a_layer_whose_channels_meet_others_stays_as_it_is() -> None:
    """A sum with the layer's own input allows no removal."""
    assert [] == channel_groups(graphs.residual().graph)


def test_weights_that_other_nodes_take_stay_for_them() -> None:
    """Of a constant that two layers share each gets its own."""
    model = graphs.gemms("Relu", dead=DEAD)
    extra = onnx.helper.make_node("Gemm", ["x", "w", "b"], ["z"])
    model.graph.node.append(extra)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["n", 12])
    )
    rows = {"x": graphs.normal(9, 20, 8)}
    importance = importance_of(model, [rows])
    smaller = without_channels(model, importance.kept(0.5), importance.moments)
    before, after = graphs.run(model, rows), graphs.run(smaller, rows)
    np.testing.assert_array_equal(before[1], after[1])
    assert [6] == [group.count for group in channel_groups(smaller.graph)]


def test_the_smallest_weights_are_set_to_zero() -> None:
    """As many as the fraction says, biases left alone."""
    model = without_small_weights(graphs.gemms("Relu"), 0.5)
    values = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    assert 0.5 == np.mean(values["w"] == 0)
    assert 0 == np.sum(values["b"] == 0)


def test_a_graph_without_layers_has_no_weights_to_set() -> None:
    """It is refused by name."""
    with pytest.raises(errors.FailedPrecondition, match="prune-weights: no layer") as caught:
        without_small_weights(graphs.without_weights(), 0.5)
    assert "NOTHING_TO_OPTIMISE" == caught.value.reason
