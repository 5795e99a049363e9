"""Operators that put tensors together, or part them."""

from __future__ import annotations

from headrace_registry.adapters.batch_invariance.nodes import (
    CLASSICAL,
    MICROSOFT,
    Node,
    Result,
    as_size,
    rule,
)
from headrace_registry.adapters.batch_invariance.sizes import Size, add, fresh, quotient
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    ROWS,
    NotProvenError,
    Value,
    rows,
    with_unknown,
)


@rule("Concat", shapes=True)
@rule("FeatureVectorizer", CLASSICAL)
@rule("QLinearConcat", MICROSOFT)
def concat(node: Node) -> Result:
    values = [v for v in node.inputs if v is not None]
    if node.operator == "QLinearConcat":
        node.require_constants(but=range(2, len(values), 3))
        values = values[2::3]
    first = values[0]
    _check_alike(values)
    axis = node.attribute("axis", 1) % first.rank
    if axis == first.axis:
        raise NotProvenError("puts rows behind rows")
    shape = list(first.known_shape)
    for value in values[1:]:
        shape[axis] = add(shape[axis], value.known_shape[axis])
    return rows(shape, first.axis)


def _check_alike(values: list[Value]) -> None:
    first = values[0]
    if any(v.kind is not first.kind or v.kind not in (CONSTANT, ROWS) for v in values):
        raise NotProvenError("puts rows beside a constant")
    for value in values:
        is_other = value.axis != first.axis or value.rank != first.rank
        if is_other or (first.kind is ROWS and value.row_size != first.row_size):
            raise NotProvenError("has inputs that hold the rows on different axes")


@rule("Split", shapes=True)
def split(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    axis = node.attribute("axis", 0) % x.rank
    if axis == x.axis:
        raise NotProvenError("parts the rows")
    shapes = [with_unknown(x.known_shape, axis) for _ in range(node.output_count)]
    for shape, size in zip(shapes, _parts(node, x.known_shape[axis]), strict=True):
        shape[axis] = size
    return [rows(shape, x.axis) for shape in shapes]


def _parts(node: Node, size: Size) -> list[Size]:
    """The sizes of the parts of an axis."""
    given = node.get(1)
    if "split" not in node.attributes and (given is None or given.data is None):
        even = quotient(size, node.output_count) if given is None else None
        return [fresh() if even is None else even for _ in range(node.output_count)]
    return [as_size(part) for part in node.numbers("split", 1) or []]
