"""Shapes that a serving config declares, over those of a graph."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace import errors
from headrace.datatypes import Datatype
from headrace.state.declared_shapes import with_declared_shapes
from headrace.state.records import DeclaredShape, DeclaredShapes, Signature, TensorSpec


def spec(*shape: int, name: str = "x") -> TensorSpec:
    """A tensor of this shape."""
    return TensorSpec(name, Datatype.FP32, shape, ("",) * len(shape))


UNRANKED = replace(spec(), unranked=True)

SHAPES = [
    pytest.param(spec(-1), True, DeclaredShape((1,), ()), (-1, 1), id="rows of one number"),
    pytest.param(spec(-1, 4), True, DeclaredShape((2, 2), (4,)), (-1, 2, 2), id="folded"),
    pytest.param(spec(-1, -1), True, DeclaredShape((1, -1), (-1,)), (-1, 1, -1), id="any size"),
    pytest.param(spec(), False, DeclaredShape((1,), ()), (1,), id="a scalar"),
    pytest.param(spec(-1, -1), True, DeclaredShape((3,)), (-1, 3), id="narrower"),
    pytest.param(UNRANKED, True, DeclaredShape((3,)), (-1, 3), id="no rank in the graph"),
    pytest.param(UNRANKED, False, DeclaredShape((1, 3), (3,)), (1, 3), id="both"),
]


@pytest.mark.parametrize(("graph", "batches", "declared", "expected"), SHAPES)
def test_callers_see_what_is_declared(
    graph: TensorSpec, batches: bool, declared: DeclaredShape, expected: tuple[int, ...]
) -> None:
    """A row each, for an input and an output alike; what is not declared stays."""
    other = spec(-1, 7, name="other")
    signature = Signature((graph, other), (other, graph))
    shapes = DeclaredShapes({"x": declared}, {"x": declared})
    found = with_declared_shapes(signature, shapes, batches=batches)
    assert (expected, expected) == (found.inputs[0].shape, found.outputs[1].shape)
    assert not found.inputs[0].unranked
    assert (other, other) == (found.inputs[1], found.outputs[0])


MISFITS = [
    (spec(-1, 4), DeclaredShape((3,), (4,)), "[3] and [4] differ in the number of their elements"),
    (spec(-1, 4), DeclaredShape((5,)), "[-1, 5] is not what the graph has, [-1, 4]"),
    (spec(-1, 4), DeclaredShape((4,), ()), "[-1] is not what the graph has, [-1, 4]"),
    (spec(-1, -1), DeclaredShape((2, -1), (-1,)), "differ in the number of their elements"),
    (spec(-1, -1, -1), DeclaredShape((-1,), (-1, -1)), "differ in the number"),
    (spec(8, 4), DeclaredShape((4,)), "[-1, 4] is not what the graph has, [8, 4]"),
    (spec(-1, name="z"), DeclaredShape((1,)), "the graph's inputs are: 'z'"),
]


@pytest.mark.parametrize(("graph", "declared", "said"), MISFITS)
def test_what_the_graph_cannot_have_is_refused(
    graph: TensorSpec, declared: DeclaredShape, said: str
) -> None:
    """A row each, with the field and what is wrong there."""
    with pytest.raises(errors.InvalidArgument) as caught:
        with_declared_shapes(Signature((graph,), ()), DeclaredShapes({"x": declared}), batches=True)
    assert "DECLARED_SHAPE_IMPOSSIBLE" == caught.value.reason
    (violation,) = caught.value.violations
    assert "serving_config.shapes.inputs[x]" == violation.field
    assert said in violation.description
