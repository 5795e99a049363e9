"""Operators that choose elements by ranges or indices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace_registry.adapters.batch_invariance.nodes import Node, Result, plain, rule
from headrace_registry.adapters.batch_invariance.sizes import (
    BATCH,
    Size,
    depends_on_batch,
    fresh,
)
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    ROWS,
    SIZE,
    NotProvenError,
    Shape,
    Value,
    constant,
    rows,
)

_PICKING = "picks among the rows"
_OUT_OF_ROWS = "lets rows choose out of rows"
_BY_POSITION = "uses the position of a row among the others"
_ALL = 10**9
"""Exporters write the end of an axis as one of several large numbers."""


@rule("Slice", shapes=True)
def slice_(node: Node) -> Result:
    x = node.rows_at(0)
    shape = list(x.known_shape)
    for axis, start, end, step in _cuts(node, x.rank):
        if axis == x.axis:
            _check_whole(node, shape[axis], (start, end, step))
        elif any(map(depends_on_batch, (start, end, step))):
            raise NotProvenError("cuts where the number of rows says")
        else:
            shape[axis] = _cut(shape[axis], start, end, step)
    return rows(shape, x.axis)


def _cuts(node: Node, rank: int) -> Iterator[tuple[int, Any, Any, Any]]:
    starts, ends = node.numbers("starts", 1) or [], node.numbers("ends", 2) or []
    axes = node.axes(3, rank) or list(range(len(starts)))
    steps = node.numbers("steps", 4) or [1] * len(starts)
    yield from zip(axes, starts, ends, steps, strict=True)


def _check_whole(node: Node, size: Size, cut: tuple[Any, Any, Any]) -> None:
    """Raise NotProvenError where not all rows are taken.

    After an assumption an end at their number could hide surplus rows.
    """
    start, end, step = cut
    to_the_end = (end == size and not node.surroundings.assumed) or (
        isinstance(end, int) and end >= _ALL
    )
    if start != 0 or step != 1 or not to_the_end:
        raise NotProvenError("cuts rows out")


def _cut(size: Size, start: Any, end: Any, step: Any) -> Size:
    if all(isinstance(number, int) for number in (size, start, end, step)):
        last = end if end > -(1 << 31) else None
        return len(range(*slice(start, last, step).indices(int(size))))  # type: ignore[arg-type]  # all are ints
    keeps_all = start == 0 and step == 1 and isinstance(end, int) and end >= (1 << 31) - 1
    return size if keeps_all else fresh()


def _operands(node: Node) -> tuple[Value, Value]:
    data, index = node.given(0), node.given(1)
    if SIZE in (data.kind, index.kind):
        raise NotProvenError("uses the number of rows as a value")
    return data, index


@rule("Gather", shapes=True)
def gather(node: Node) -> Result:
    data, index = _operands(node)
    axis = node.attribute("axis", 0) % data.rank
    shape = (*data.known_shape[:axis], *index.known_shape, *data.known_shape[axis + 1 :])
    if data.kind is CONSTANT and index.kind is CONSTANT:
        return constant(shape)
    if data.kind is index.kind:
        raise NotProvenError(_OUT_OF_ROWS)
    if index.kind is ROWS:
        return rows(shape, axis + index.axis)
    if axis == data.axis:
        raise NotProvenError(_PICKING)
    return rows(shape, data.axis if data.axis < axis else data.axis + index.rank - 1)


@rule("GatherElements ScatterElements Scatter")
def gather_elements(node: Node) -> Result:
    x = node.rows_at(0)
    if node.surroundings.assumed:  # what does not fit could be hidden here
        raise NotProvenError(f"is proven only if {node.surroundings.assumed[0]}")
    for place in range(1, len(node.inputs)):
        value = node.rows_at(place)
        if value.axis != x.axis or value.row_size != x.row_size:
            raise NotProvenError(f"has an input {place} that does not hold the same rows")
    if node.attribute("axis", 0) % x.rank == x.axis:
        raise NotProvenError(_PICKING)
    return node.given(1) if node.operator == "GatherElements" else x


@rule("GatherND")
def gather_nd(node: Node) -> Result:
    data, index = _operands(node)
    batched, depth = node.attribute("batch_dims", 0), plain(index.known_shape[-1])
    if not isinstance(depth, int):
        raise NotProvenError("has indices of unknown depth")
    shape = (*index.known_shape[:-1], *data.known_shape[batched + depth :])
    if data.row_number or index.row_number:
        return _by_row_number(node, data, index, shape)
    if index.kind is ROWS and data.kind is ROWS:
        is_same = data.axis == index.axis and data.row_size == index.row_size
        if not is_same or index.axis >= batched:
            raise NotProvenError(_OUT_OF_ROWS)
        return rows(shape, index.axis)
    if index.kind is ROWS:
        if index.axis < batched or index.axis == index.rank - 1:
            raise NotProvenError("has a constant beside the rows")
        return rows(shape, index.axis)
    if data.axis < batched + depth:
        raise NotProvenError(_PICKING)
    return rows(shape, index.rank - 1 + data.axis - batched - depth)


def _by_row_number(node: Node, data: Value, index: Value, shape: Shape) -> Value:
    """x[arange(rows), ...]: each row chooses out of its own."""
    is_own = (
        data.kind is ROWS
        and not data.row_number
        and index.row_number == ("column", data.axis)
        and data.row_size == BATCH
        and index.axis != index.rank - 1
    )
    if not is_own or node.surroundings.assumed or node.attribute("batch_dims", 0):
        raise NotProvenError(_BY_POSITION)
    return rows(shape, index.axis)


@rule("OneHot")
def one_hot(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    axis = node.attribute("axis", -1) % (x.rank + 1)
    shape = [*x.known_shape[:axis], fresh(), *x.known_shape[axis:]]
    return rows(shape, x.axis + (x.axis >= axis))


@rule("ReverseSequence")
def reverse_sequence(node: Node) -> Result:
    x, lengths = node.rows_at(0), node.rows_at(1)
    if x.axis != node.attribute("batch_axis", 1) or lengths.known_shape[0] != x.row_size:
        raise NotProvenError("has a batch axis that does not hold the rows")
    return x
