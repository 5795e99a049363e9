"""Operators on images and other signals: [rows, channels, ...]."""

from __future__ import annotations

from collections.abc import Mapping

from headrace_registry.adapters.batch_invariance.nodes import MICROSOFT, Node, Result, as_size, rule
from headrace_registry.adapters.batch_invariance.rules.normalization import rows_first
from headrace_registry.adapters.batch_invariance.sizes import (
    Size,
    add,
    depends_on_batch,
    fresh,
    product,
    quotient,
)
from headrace_registry.adapters.batch_invariance.values import (
    ROWS,
    NotProvenError,
    Value,
    rows,
)

_BATCHED: Mapping[str, tuple[int, ...]] = {
    "DeformConv": (0, 2, 4),
    "FusedConv": (0, 3),
    "NhwcFusedConv": (0, 3),
}
_SCALE = {"ConvInteger": 2, "QLinearConv": 1}
_WEIGHTS = {"QLinearConv": 3, "QLinearConvTranspose": 3}
_CHANNELS_FIRST = ("Conv", "FusedConv", "ConvInteger", "QLinearConv")


@rule("Conv ConvTranspose ConvInteger QLinearConv DeformConv")
@rule("FusedConv NhwcFusedConv QLinearConvTranspose NhwcConv", MICROSOFT)
def convolution(node: Node) -> Result:
    x = rows_first(node)
    batched = _BATCHED.get(node.operator, (0,))
    node.require_constants(but=batched)
    for index in batched[1:]:
        _check_same_rows(node, index, x)
    scale = node.get(_SCALE.get(node.operator, -1)) if node.operator in _SCALE else None
    if scale is not None and product(scale.known_shape) != 1:
        raise NotProvenError("has a scale for each row")
    weights = node.given(_WEIGHTS.get(node.operator, 1)).shape
    channels = weights[0] if weights and node.operator in _CHANNELS_FIRST else fresh()
    return rows([x.row_size, channels, *(fresh() for _ in x.known_shape[2:])], 0)


def _check_same_rows(node: Node, index: int, x: Value) -> None:
    value = node.get(index)
    if value is None:
        return
    if value.kind is not ROWS or value.axis or value.row_size != x.row_size:
        raise NotProvenError(f"has an input {index} that does not hold the same rows")


@rule("AveragePool MaxPool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool")
@rule("QLinearAveragePool QLinearGlobalAveragePool NhwcMaxPool", MICROSOFT)
def pool(node: Node) -> Result:
    x = rows_first(node)
    node.require_constants(but=[0])
    if sum(map(bool, node.proto.output)) > 1:
        raise NotProvenError("gives indices that count through all rows")
    if node.domain:
        return rows([x.row_size, *(fresh() for _ in x.known_shape[1:])], 0)
    is_global = node.operator.startswith("Global")
    spatial = [1 if is_global else fresh() for _ in x.known_shape[2:]]
    return rows([*x.known_shape[:2], *spatial], 0)


@rule("GridSample")
@rule("GridSample", MICROSOFT)
def grid_sample(node: Node) -> Result:
    x, grid = rows_first(node), node.rows_at(1)
    if grid.axis or grid.row_size != x.row_size:
        raise NotProvenError("has a grid that does not hold the same rows")
    return rows([*x.known_shape[:2], *grid.known_shape[1:-1]], 0)


@rule("DepthToSpace SpaceToDepth Col2Im")
def rearranged(node: Node) -> Result:
    x = rows_first(node)
    node.require_constants(but=[0])
    rank = 2 + len(node.given(1).data) if node.operator == "Col2Im" else 4
    return rows([x.row_size, *(fresh() for _ in range(rank - 1))], 0)


@rule("Resize Upsample")
def resize(node: Node) -> Result:
    x = node.rows_at(0)
    crops = node.attribute("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    if crops or node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise NotProvenError("resizes in a mode that is not followed")
    axes = [axis % x.rank for axis in node.attribute("axes", range(x.rank))]
    factors, sizes = _stretch(node, x, axes)
    shape = list(x.known_shape)
    for axis, factor, size in zip(axes, factors, sizes, strict=True):
        if axis != x.axis:
            shape[axis] = fresh() if depends_on_batch(size) else size
        elif factor is None or factor != 1:
            raise NotProvenError("stretches the axis with the rows")
    return rows(shape, x.axis)


def _stretch(node: Node, x: Value, axes: list[int]) -> tuple[list[Size | None], list[Size]]:
    """For each axis the factor (where it is asked for) and the new size."""
    is_old = node.operator == "Upsample" or node.opset < 11
    told = None if is_old or node.get(3) is None else node.numbers("sizes", 3)
    if told:
        sizes = [as_size(size) for size in told]
        pairs = zip(sizes, axes, strict=True)
        return [
            quotient(size, x.known_shape[a]) if a == x.axis else None for size, a in pairs
        ], sizes
    return list(node.numbers("scales", 1 if is_old else 2) or []), [fresh() for _ in axes]


@rule("Pad")
def pad(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    pads = node.attribute("paddings") or node.numbers("pads", 1) or []
    axes = (node.axes(3, x.rank) if node.opset >= 18 else None) or list(range(x.rank))
    shape = list(x.known_shape)
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if axis == x.axis and (before != 0 or after != 0):
            raise NotProvenError("pads the rows with more")
        if axis != x.axis:
            shape[axis] = add(shape[axis], add(as_size(before), as_size(after)))
    return rows(shape, x.axis)
