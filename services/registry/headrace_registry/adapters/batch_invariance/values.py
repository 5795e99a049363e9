"""Abstract values of tensors: how each relates to the rows of a batch."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from headrace_registry.adapters.batch_invariance.sizes import (
    BATCH,
    Size,
    depends_on_batch,
    fresh,
    quotient,
)

MAX_ELEMENTS = 4096
"""Elements of a constant that may hold axes or shapes; larger ones are weights."""

Shape: TypeAlias = tuple[Size, ...]
RowNumber: TypeAlias = str | tuple[str, int]

INDEX: RowNumber = "index"
"""Each element is the number of its own row."""
POSITION: RowNumber = "position"
"""Elements depend on the row's number in a way that is not followed."""


class Kind(enum.Enum):
    """The kinds of dependence of a tensor's elements."""

    CONSTANT = enum.auto()  # on nothing that is in the batch
    SIZE = enum.auto()  # on the number of rows, not on their values
    ROWS = (
        enum.auto()
    )  # block i of one axis on row i of the inputs, and no other axis' size on the batch
    UNPROVEN = enum.auto()


CONSTANT, SIZE, ROWS, UNPROVEN = Kind


class NotProvenError(Exception):
    """Nothing proves that a node keeps rows apart; the message says what it does, as a predicate."""


@dataclass(frozen=True)
class Value:
    """The known facts of one tensor."""

    kind: Kind
    shape: Shape | None = None
    """None: of unknown rank."""
    axis: int = -1
    """Of ROWS: the axis that holds the rows, outermost where it holds more than one element a row."""
    data: Any = None
    """Of CONSTANT and SIZE: the elements, where they are known."""
    reason: str = ""
    """Of UNPROVEN: the first node to blame."""
    row_number: RowNumber = ""
    """Of ROWS whose elements depend on their rows' numbers: INDEX, ("column", j) where j of the last axis
    holds it, or POSITION, of which only the shape is of use."""
    padding: str | None = None
    """Of ROWS of texts: what fills each up to the length of the longest, which depends on the others."""

    @property
    def known_shape(self) -> Shape:
        """Its shape. Raises NotProvenError where the rank is not known."""
        if self.shape is None:
            raise NotProvenError("has an operand of unknown rank")
        return self.shape

    @property
    def rank(self) -> int:
        """The number of its axes. Raises NotProvenError where that is not known."""
        return len(self.known_shape)

    @property
    def row_size(self) -> Size:
        """Of ROWS: the size of the axis that holds them."""
        return self.known_shape[self.axis]


def constant(shape: Shape | None = None) -> Value:
    """A value that does not depend on the batch, whose elements are not known."""
    return Value(CONSTANT, shape)


def known(data: Any) -> Value:
    """A value whose elements are known."""
    data = np.asarray(data)
    kind = SIZE if any(map(depends_on_batch, data.ravel())) else CONSTANT
    return Value(kind, data.shape, data=data)


def unproven(reason: str) -> Value:
    """A value of which nothing is proven."""
    return Value(UNPROVEN, reason=reason)


def rows(shape: Sequence[Size], axis: int) -> Value:
    """A value that holds rows on this axis; a constant for axis -1, as rules are asked about those, too.

    Raises NotProvenError where another axis depends on the number of rows.
    """
    if axis < 0:
        return constant(tuple(shape))
    others = (size for place, size in enumerate(shape) if place != axis)
    if quotient(shape[axis], BATCH) is None or any(map(depends_on_batch, others)):
        raise NotProvenError("has a result of which not one axis alone holds the rows")
    return Value(ROWS, tuple(shape), axis)


def broadcast_size(sizes: set[Size]) -> Size:
    """The size of an axis on which operands of these sizes meet."""
    sizes = sizes - {1}
    numbers = [size for size in sizes if isinstance(size, int)]
    if numbers:
        return numbers[0]
    if not sizes:
        return 1
    return sizes.pop() if len(sizes) == 1 else fresh(*sizes)


def sizes_at(values: Sequence[Value], axis: int, rank: int) -> set[Size]:
    """The operands' sizes on an axis of their common rank, aligned at the last axes."""
    places = [(value.known_shape, axis - rank + value.rank) for value in values]
    return {shape[place] for shape, place in places if place >= 0}


_MEETING = "lets rows meet other rows, or a constant of more than one row"


def broadcast(operands: Sequence[Value | None], *, otherwise: str = _MEETING) -> Value:
    """Rows out of operands that are aligned at their last axes. Raises NotProvenError."""
    values = [value for value in operands if value is not None]
    rank = max(value.rank for value in values)
    if any(value.kind is SIZE for value in values):
        raise NotProvenError("uses the number of rows as a value")
    found = {(rank - v.rank + v.axis, v.row_size) for v in values if v.kind is ROWS}
    if len(found) != 1:
        raise NotProvenError(otherwise)
    [(axis, size)] = found
    if not sizes_at(values, axis, rank) <= {1, size}:
        raise NotProvenError(otherwise)
    shape = [broadcast_size(sizes_at(values, place, rank)) for place in range(rank)]
    return rows(shape, axis)


def broadcast_shape(values: Sequence[Value]) -> Shape:
    """The shape of what comes of constants that are aligned at their last axes."""
    rank = max(value.rank for value in values)
    return tuple(broadcast_size(sizes_at(values, axis, rank)) for axis in range(rank))


def without_axes(value: Value, axes: Sequence[int], *, keep: bool = False) -> Value:
    """The value after axes were reduced away, or to 1. Raises NotProvenError if one holds the rows."""
    if value.axis in axes:
        raise NotProvenError(f"reduces axis {value.axis}, which holds the rows")
    shape = value.known_shape
    if keep:
        return rows([1 if i in axes else size for i, size in enumerate(shape)], value.axis)
    left = [size for i, size in enumerate(shape) if i not in axes]
    return rows(left, value.axis - sum(axis < value.axis for axis in axes))


def with_unknown(shape: Sequence[Size], *axes: int) -> list[Size]:
    """The shape with sizes on these axes that are not known."""
    places = {axis % len(shape) for axis in axes}
    return [fresh() if i in places else size for i, size in enumerate(shape)]
