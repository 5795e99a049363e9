"""Operators that make an axis smaller: reductions, and the choice of the largest."""

from __future__ import annotations

from headrace_registry.adapters.batch_invariance.nodes import Node, Result, rule
from headrace_registry.adapters.batch_invariance.values import (
    NotProvenError,
    rows,
    with_unknown,
    without_axes,
)


@rule(
    """ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceSumSquare""",
    shapes=True,
)
def reduce(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    axes = node.axes(1, x.rank)
    if axes is None:
        if node.attribute("noop_with_empty_axes", 0):
            return x
        axes = list(range(x.rank))
    return without_axes(x, axes, keep=bool(node.attribute("keepdims", 1)))


@rule("ArgMax ArgMin")
def arg_max(node: Node) -> Result:
    x = node.rows_at(0)
    axis = node.attribute("axis", 0) % x.rank
    return without_axes(x, [axis], keep=bool(node.attribute("keepdims", 1)))


@rule("TopK")
def top_k(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    axis = node.attribute("axis", -1) % x.rank
    if axis == x.axis:
        raise NotProvenError("chooses among the rows")
    return rows(with_unknown(x.known_shape, axis), x.axis)
