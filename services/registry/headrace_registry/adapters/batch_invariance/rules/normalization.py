"""Operators that normalise or accumulate along axes."""

from __future__ import annotations

from headrace_registry.adapters.batch_invariance.nodes import MICROSOFT, Node, Result, rule
from headrace_registry.adapters.batch_invariance.values import (
    NotProvenError,
    Value,
    broadcast,
    rows,
)


def apart_from(x: Value, *, before: int) -> Value:
    """The value, if the axis with the rows comes before this one. Raises NotProvenError."""
    if x.axis >= before:
        raise NotProvenError(f"works along axis {x.axis}, which holds the rows")
    return x


def rows_first(node: Node, index: int = 0) -> Value:
    """An input that holds the rows on its first axis. Raises NotProvenError."""
    return apart_from(node.rows_at(index), before=1)


@rule("BatchNormalization")
def batch_normalization(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    is_training = node.attribute("training_mode", 0) or (node.opset < 14 and node.output_count > 1)
    if is_training or node.opset < 7:
        raise NotProvenError("is in training mode, which takes the mean over all rows")
    if x.axis == 1 or x.rank < 2:
        raise NotProvenError("has scales for axis 1, which holds the rows")
    return x


@rule("LayerNormalization RMSNormalization SimplifiedLayerNormalization")
@rule("LayerNormalization SimplifiedLayerNormalization", MICROSOFT)
def layer_normalization(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    axis = node.attribute("axis", -1) % x.rank
    apart_from(x, before=axis)
    for value in node.inputs[1:]:
        if value is not None and _reaches(value, x, axis):
            raise NotProvenError("has a scale for each row")
    return _with_statistics(x, axis, node.output_count)


def _reaches(scale: Value, x: Value, axis: int) -> bool:
    """Return whether a scale has more than one element on the axis with the rows, or before it."""
    if scale.rank <= x.rank - axis:
        return False
    return any(size != 1 for size in scale.known_shape[: scale.rank - x.rank + x.axis + 1])


def _with_statistics(x: Value, axis: int, count: int) -> list[Value]:
    shape = [1 if i >= axis else size for i, size in enumerate(x.known_shape)]
    small = rows(shape, x.axis)
    return [x, small, small, x][:count]


@rule("SkipLayerNormalization SkipSimplifiedLayerNormalization", MICROSOFT)
def skip_normalization(node: Node) -> Result:
    x = broadcast(node.inputs[:2])
    node.require_constants(but=[0, 1])
    apart_from(x, before=x.rank - 1)
    return _with_statistics(x, x.rank - 1, node.output_count)


@rule("InstanceNormalization GroupNormalization LRN")
@rule("GroupNorm", MICROSOFT)
def channel_normalization(node: Node) -> Result:
    node.require_constants(but=[0])
    return rows_first(node)


@rule("Softmax LogSoftmax Hardmax", shapes=True)
@rule("QLinearSoftmax", MICROSOFT)
def softmax(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    flattens = node.attribute("opset", node.opset) < 13 if node.domain else node.opset < 13
    axis = node.attribute("axis", 1 if flattens else -1) % x.rank
    if x.axis >= axis if flattens else x.axis == axis:
        raise NotProvenError(f"normalises along axis {axis}, over the rows")
    return x


@rule("LpNormalization MeanVarianceNormalization CumSum CumProd")
def along_axes(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    if node.operator.startswith("Cum"):
        axes = node.axes(1, x.rank, "axis") or list(range(x.rank))
    else:
        default = -1 if node.operator == "LpNormalization" else [0, 2, 3]
        told = node.attribute("axes", node.attribute("axis", default))
        axes = [axis % x.rank for axis in ([told] if isinstance(told, int) else told)]
    if x.axis in axes:
        raise NotProvenError(f"works along axis {x.axis}, which holds the rows")
    return x
