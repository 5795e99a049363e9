"""Operators that repeat elements, and those that make tensors of a size."""

from __future__ import annotations

from dataclasses import replace

from headrace_registry.adapters.batch_invariance.nodes import Node, Result, as_size, rule
from headrace_registry.adapters.batch_invariance.sizes import (
    BATCH,
    Size,
    depends_on_batch,
    fresh,
    multiply,
)
from headrace_registry.adapters.batch_invariance.values import (
    INDEX,
    ROWS,
    NotProvenError,
    Value,
    constant,
    rows,
)


@rule("Expand", shapes=True)
def expand(node: Node) -> Result:
    x = node.given(0)
    target = _sizes(node, 1)
    rank = max(x.rank, len(target))
    old = [1] * (rank - x.rank) + list(x.known_shape)
    new = [1] * (rank - len(target)) + target
    axis = rank - x.rank + x.axis if x.kind is ROWS else -1
    for place, (size, wanted) in enumerate(zip(old, new, strict=True)):
        _check_stretch(size, wanted, holds_rows=place == axis)
    pairs = zip(old, new, strict=True)
    return _with_rows([_stretched(size, wanted) for size, wanted in pairs])


def _sizes(node: Node, index: int) -> list[Size]:
    found = node.numbers("shape", index)
    if found is None:
        raise NotProvenError("has no shape")
    return [as_size(size) for size in found]


def _check_stretch(size: Size, wanted: Size, *, holds_rows: bool) -> None:
    if holds_rows and wanted not in (1, size):
        raise NotProvenError("stretches the axis with the rows")
    if depends_on_batch(wanted) and size not in (1, wanted):
        raise NotProvenError("stretches a constant of more than one row to the rows")


def _stretched(size: Size, wanted: Size) -> Size:
    if wanted in (1, size):
        return size
    return wanted if size == 1 else fresh()


def _with_rows(shape: list[Size]) -> Value:
    """A value of this shape: rows where one axis has their number, a constant where none has."""
    axes = [axis for axis, size in enumerate(shape) if depends_on_batch(size)]
    if len(axes) > 1:
        raise NotProvenError("gives more than one axis a size that depends on the number of rows")
    return rows(shape, axes[0]) if axes else constant(tuple(shape))


@rule("ConstantOfShape", shapes=True)
def constant_of_shape(node: Node) -> Result:
    return _with_rows(_sizes(node, 0))


@rule("Tile", shapes=True)
def tile(node: Node) -> Result:
    x, repeats = node.given(0), node.numbers("repeats", 1) or []
    if len(repeats) != x.rank:
        raise NotProvenError("has repeats for another number of axes")
    if x.kind is ROWS and repeats[x.axis] != 1:
        raise NotProvenError("repeats the rows")
    pairs = zip(x.known_shape, map(as_size, repeats), strict=True)
    return _with_rows([multiply(size, times) for size, times in pairs])


@rule("Range")
def range_(node: Node) -> Result:
    values = [node.given(i) for i in range(3)]
    start, limit, step = (None if v.data is None else v.data.ravel()[0] for v in values)
    if start == 0 and step == 1 and limit == BATCH:
        return replace(rows((BATCH,), 0), row_number=INDEX)
    raise NotProvenError("counts as far as the number of rows or their values say")
