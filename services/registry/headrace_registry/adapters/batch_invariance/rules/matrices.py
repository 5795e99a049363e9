"""Products of matrices."""

from __future__ import annotations

from dataclasses import replace

from headrace_registry.adapters.batch_invariance.nodes import MICROSOFT, Node, Result, rule
from headrace_registry.adapters.batch_invariance.rules.normalization import apart_from, rows_first
from headrace_registry.adapters.batch_invariance.sizes import Size, fresh, product
from headrace_registry.adapters.batch_invariance.values import (
    ROWS,
    SIZE,
    NotProvenError,
    Value,
    broadcast,
    constant,
    rows,
    without_axes,
)

_OWN_SCALES = "has a scale for each row"
_MEETING = "multiplies rows of one operand with those of the other, or with a constant for each row"


@rule("MatMul MatMulInteger QLinearMatMul")
@rule("FusedMatMul MatMulIntegerToFloat TransposeMatMul", MICROSOFT)
def matmul(node: Node) -> Result:
    second = 3 if node.operator == "QLinearMatMul" else 1
    a, b = node.given(0), node.given(second)
    node.require_constants(but=[0, second])
    _check_scales(node, a, b)
    if any(node.attribute(name, 0) for name in ("transBatchA", "transBatchB")):
        raise NotProvenError("transposes batches of matrices, which is not followed")
    return multiplied(_transposed(node, "transA", a), _transposed(node, "transB", b))


def _check_scales(node: Node, a: Value, b: Value) -> None:
    """A scale for each row of an operand would be one for each row of the batch. Raises NotProvenError."""
    of_a = {"QLinearMatMul": (1, 2), "MatMulInteger": (2, 4), "MatMulIntegerToFloat": (2, 4)}
    scales = [node.get(i) for i in of_a.get(node.operator, ())]
    if a.kind is ROWS and any(map(_is_many, scales)):
        raise NotProvenError(_OWN_SCALES)
    others = [value for value in node.inputs if value is not a and value is not b]
    if b.kind is ROWS and any(map(_is_many, others)):
        raise NotProvenError(_OWN_SCALES)


def _is_many(value: Value | None) -> bool:
    return value is not None and (value.shape is None or product(value.shape) != 1)


def _transposed(node: Node, attribute: str, value: Value) -> Value:
    """The operand with its last two axes exchanged, where an attribute says so."""
    if not node.attribute(attribute, 0) or value.rank < 2:
        return value
    last = value.rank - 1
    shape = (*value.known_shape[:-2], value.known_shape[-1], value.known_shape[-2])
    axis = {last: last - 1, last - 1: last}.get(value.axis, value.axis)
    return replace(value, shape=shape, axis=axis, data=None)


def multiplied(a: Value, b: Value) -> Value:
    """The product of two values as matrices, or batches of them. Raises NotProvenError."""
    sums_a = a.kind is ROWS and a.axis == a.rank - 1
    sums_b = b.kind is ROWS and b.axis == max(b.rank - 2, 0)
    if sums_a or sums_b:
        raise NotProvenError("sums over the rows")
    # Aligned as [..., M, 1] and [..., 1, N].
    left, right = constant((1, 1)), constant((1, 1))
    if a.rank > 1:
        left = replace(a, shape=(*a.known_shape[:-1], 1), data=None)
    if b.rank > 1:
        right = replace(b, shape=(*b.known_shape[:-2], 1, b.known_shape[-1]), data=None)
    found = broadcast([left, right], otherwise=_MEETING)
    gone = [found.rank - 2] if a.rank == 1 else []
    gone += [found.rank - 1] if b.rank == 1 else []
    return without_axes(found, gone)


@rule("Gemm")
@rule("GemmFloat8", MICROSOFT)
def gemm(node: Node) -> Result:
    node.require_constants(but=[0, 1, 2])
    a = _transposed(node, "transA", node.given(0))
    b = _transposed(node, "transB", node.given(1))
    if ROWS in (a.kind, b.kind):
        return broadcast([multiplied(a, b), node.get(2)])
    return broadcast([constant((a.known_shape[0], b.known_shape[1])), node.get(2)])


@rule("MatMulNBits MatMulBnb4 MatMulFpQ4", MICROSOFT)
def matmul_of_packed_weights(node: Node) -> Result:
    x = node.rows_at(0)
    apart_from(x, before=x.rank - 1)
    node.require_constants(but=[0])
    return rows([*x.known_shape[:-1], node.attribute("N") or fresh()], x.axis)


@rule("QGemm", MICROSOFT)
def quantized_gemm(node: Node) -> Result:
    x = rows_first(node)
    node.require_constants(but=[0])
    if node.attribute("transA", 0) or any(map(_is_many, node.inputs[1:3])):
        raise NotProvenError(_OWN_SCALES)
    return rows([x.known_shape[0], fresh()], 0)


@rule("Einsum")
def einsum(node: Node) -> Result:
    left, arrow, right = node.attribute("equation").replace(" ", "").partition("->")
    terms = left.split(",")
    values = [node.given(i) for i in range(len(node.inputs))]
    fits = len(terms) == len(values) and all(
        value.rank == len(term) for value, term in zip(values, terms, strict=True)
    )
    if "." in left or not arrow or not fits:
        raise NotProvenError("has an equation of a form that is not followed")
    letter, size = _letter_of_rows(values, terms)
    if right.count(letter) != 1:
        raise NotProvenError(f"sums over {letter!r}, the rows")
    sizes = {**_sizes_of_letters(values, terms), letter: size}
    return rows([sizes[name] for name in right], right.index(letter))


def _letter_of_rows(values: list[Value], terms: list[str]) -> tuple[str, Size]:
    """The letter that stands for the rows, and nothing else. Raises NotProvenError."""
    pairs = list(zip(values, terms, strict=True))
    found = {(term[v.axis], v.row_size) for v, term in pairs if v.kind is ROWS}
    if len(found) != 1 or any(value.kind is SIZE for value in values):
        raise NotProvenError("has operands that hold the rows under different letters")
    [(letter, size)] = found
    for value, term in pairs:
        for i, name in enumerate(term):
            is_row = value.kind is ROWS and value.axis == i
            if name == letter and not is_row and value.known_shape[i] != 1:
                raise NotProvenError(f"has another axis than the rows' under {letter!r}")
    return letter, size


def _sizes_of_letters(values: list[Value], terms: list[str]) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    for value, term in zip(values, terms, strict=True):
        for i, name in enumerate(term):
            if sizes.get(name, 1) == 1:
                sizes[name] = value.known_shape[i]
    return sizes


@rule("Trilu Det")
@rule("Inverse", MICROSOFT)
def of_square_matrices(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    apart_from(x, before=x.rank - 2)
    return rows(x.known_shape[:-2], x.axis) if node.operator == "Det" else x
