"""Operators that give the same elements another shape."""

from __future__ import annotations

from typing import Any

from headrace_registry.adapters.batch_invariance.nodes import (
    MICROSOFT,
    Node,
    Result,
    as_size,
    plain,
    rule,
)
from headrace_registry.adapters.batch_invariance.sizes import (
    BATCH,
    Polynomial,
    Size,
    depends_on_batch,
    fresh,
    multiply,
    product,
    quotient,
)
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    NotProvenError,
    Value,
    constant,
    rows,
    without_axes,
)


@rule("Transpose", shapes=True)
def transpose(node: Node) -> Result:
    x = node.rows_at(0)
    order = node.attribute("perm") or list(range(x.rank))[::-1]
    axis = x.axis if x.kind is CONSTANT else order.index(x.axis)
    return rows([x.known_shape[place] for place in order], axis)


@rule("Reshape", shapes=True)
def reshape(node: Node) -> Result:
    x, target = node.given(0), node.numbers("shape", 1)
    if target is None:
        raise NotProvenError("has no shape")
    zero_is_a_size = bool(node.attribute("allowzero", 0))
    if x.kind is CONSTANT:
        return constant(_shape_of_constant(x, target, zero_is_a_size=zero_is_a_size))
    target = _without_zeros(node.rows_at(0), target, zero_is_a_size=zero_is_a_size)
    return reshaped(node, x, target)


def _without_zeros(x: Value, target: list[Any], *, zero_is_a_size: bool) -> list[Any]:
    """The target, with x's own sizes where it says 0."""
    if zero_is_a_size or x.shape is None:
        return target
    return [x.shape[i] if size == 0 else size for i, size in enumerate(target)]


def _shape_of_constant(
    x: Value, target: list[Any], *, zero_is_a_size: bool
) -> tuple[Size, ...] | None:
    if any(map(depends_on_batch, target)):
        raise NotProvenError("gives a constant as many rows as there are")
    target = [as_size(n) for n in _without_zeros(x, target, zero_is_a_size=zero_is_a_size)]
    if -1 in target:
        others = product(size for size in target if size != -1)
        whole = None if x.shape is None else quotient(product(x.shape), others)
        target[target.index(-1)] = fresh() if whole is None else whole
    return tuple(target)


def reshaped(node: Node, x: Value, target: list[Any]) -> Value:
    """Rows stay together where all before their axis stays as it is, and no row is cut.

    Raises NotProvenError.
    """
    target = list(map(plain, target))
    axis = _axis_of_rows(x, target)
    size, rest = product(x.known_shape[x.axis :]), target[axis + 1 :]
    target[axis] = _new_row_size(size, target[axis], rest)
    if any(map(depends_on_batch, rest)) or not all(map(_is_size, rest)):
        raise NotProvenError("gives a later axis a size that depends on the number of rows")
    if -1 in rest:
        others = product(other for other in rest if other != -1)
        whole = quotient(size, multiply(target[axis], others))
        target[target.index(-1)] = whole or fresh()
    else:
        _check_fit(node, size, target[axis:])
    return rows(target, axis)


def _is_size(number: Any) -> bool:
    return isinstance(number, int | Polynomial)


def _axis_of_rows(x: Value, target: list[Any]) -> int:
    """The axis of the new shape that the rows come to lie on."""
    before, axis = x.known_shape[: x.axis], 0
    if product(before) != 1:
        if list(before) != target[: x.axis] or -1 in target[: x.axis]:
            raise NotProvenError("reshapes across the rows")
        axis = x.axis
    while axis < len(target) and target[axis] == 1:
        axis += 1
    if axis == len(target):
        raise NotProvenError("folds the rows into a fixed shape")
    return axis


def _new_row_size(size: Size, told: Any, rest: list[Any]) -> Size:
    """The size of the axis with the rows, out of all elements from there on."""
    if told != -1:
        if not _is_size(told) or quotient(told, BATCH) is None:
            raise NotProvenError(f"folds the rows into size {told}")
        size_told: Size = told
        return size_told
    if any(map(depends_on_batch, rest)) or not all(map(_is_size, rest)):
        raise NotProvenError("gives a later axis a size that depends on the number of rows")
    whole = quotient(size, product(rest))
    if whole is None or quotient(whole, BATCH) is None:
        each = quotient(size, BATCH)
        raise NotProvenError(
            f"may cut rows: nothing proves that {each} elements are whole blocks of {product(rest)}"
        )
    return whole


def _check_fit(node: Node, size: Size, target: list[Any]) -> None:
    """Raise NotProvenError where the elements do not fit; where that is not known, assume that they do.

    A runtime that obeys the specification fails where they do not, but fusions of ONNX Runtime's run it
    with another number of rows: a lone row has to show that it stays one.
    """
    new = product(target)
    if new == size:
        return
    if isinstance(quotient(size, new), int) or isinstance(quotient(new, size), int):
        raise NotProvenError(f"fills a shape of {new} elements with {size}")
    node.surroundings.assumed.append(f"{size} elements fit into {target}")


@rule("Flatten")
def flatten(node: Node) -> Result:
    x, axis = node.rows_at(0), node.attribute("axis", 1)
    axis = axis % x.rank if axis < 0 else axis
    if not axis:
        return reshaped(node, x, [1, -1])
    return reshaped(node, x, [product(x.known_shape[:axis]), product(x.known_shape[axis:])])


@rule("Squeeze", shapes=True)
def squeeze(node: Node) -> Result:
    x = node.rows_at(0)
    axes = node.axes(1, x.rank)
    if axes is None:
        raise NotProvenError("takes away axes of size 1, and with one row the rows' axis is one")
    if x.axis in axes:
        raise NotProvenError("takes the axis with the rows away")
    return without_axes(x, axes)


@rule("Unsqueeze", shapes=True)
@rule("ExpandDims", MICROSOFT)
def unsqueeze(node: Node) -> Result:
    x = node.rows_at(0)
    count = len(node.numbers("axes", 1) or ())
    axes = sorted(node.axes(1, x.rank + count) or ())
    shape = list(x.known_shape)
    for axis in axes:
        shape.insert(axis, 1)
    old = [place for place in range(len(shape)) if place not in axes]
    return rows(shape, x.axis if x.kind is CONSTANT else old[x.axis])
