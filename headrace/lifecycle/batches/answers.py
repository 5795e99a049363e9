"""Rows with their answers, as columns: what a part is before it has a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.datatype_names import Datatype
from headrace.datatypes import NUMPY_DTYPES
from headrace.lifecycle.predictors.predictor import Array
from headrace.lifecycle.tables import Rows
from headrace.state.records import TensorSpec

ROW, ERROR = "_row", "_error"
"""The columns that are always there: the row's number in the input, from 1, and why it was refused."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was refused: its place in the input, from 0, and why."""

    place: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is written. Of an output `spec` says what it is; where `missing`, there is no value."""

    name: str
    values: Array
    spec: TensorSpec | None = None
    missing: Array | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows from place `start` on: their columns in the order in which they are written."""

    start: int
    rows: int
    columns: Sequence[Column]
    refusals: Sequence[Refusal] = ()


Piece = Mapping[str, Array] | Refusal
"""The outputs of some rows, or why a single row has none."""


def answered(
    rows: Rows,
    keep: Sequence[str],
    outputs: Sequence[TensorSpec],
    pieces: Sequence[tuple[int, Piece]],
) -> Answered:
    """The rows with what answered them: pieces with their numbers of rows, in order."""
    refusals = [piece for _, piece in pieces if isinstance(piece, Refusal)]
    numbers = np.arange(rows.start + 1, rows.start + len(rows) + 1, dtype=np.int64)
    kept = [Column(name, _kept(rows.columns[name])) for name in keep]
    missing = None
    if refusals:
        missing = np.zeros(len(rows), dtype=np.bool_)
        missing[[refusal.place - rows.start for refusal in refusals]] = True
    made = [Column(spec.name, _output(spec, pieces), spec, missing) for spec in outputs]
    told = np.full(len(rows), None, dtype=object)
    for refusal in refusals:
        told[refusal.place - rows.start] = f"{refusal.reason}: {refusal.message}"
    columns = (Column(ROW, numbers), *kept, *made, Column(ERROR, told))
    return Answered(rows.start, len(rows), columns, refusals)


def _kept(values: Array) -> Array:
    """Files as their paths."""
    if values.dtype == object and any(isinstance(value, Path) for value in values):
        return np.array([str(value) for value in values], dtype=object)
    return values


def _output(spec: TensorSpec, pieces: Sequence[tuple[int, Piece]]) -> Array:
    """One output of all rows; a refused row has zeros, or nothing where rows are of different sizes."""
    arrays = [None if isinstance(piece, Refusal) else piece[spec.name] for _, piece in pieces]
    shapes = {array.shape[1:] for array in arrays if array is not None}
    shape = next(iter(shapes)) if shapes else tuple(max(size, 0) for size in spec.shape[1:])
    counts = [count for count, _ in pieces]
    if len(shapes) > 1:
        return _uneven(arrays, counts)
    dtypes = [array.dtype for array in arrays if array is not None]
    dtype = dtypes[0] if dtypes else NUMPY_DTYPES[spec.datatype]
    blank = np.zeros if spec.datatype is not Datatype.BYTES else _no_texts
    return np.concatenate(
        [
            blank((count, *shape), dtype) if array is None else array
            for array, count in zip(arrays, counts, strict=True)
        ]
    )


def _no_texts(shape: tuple[int, ...], dtype: object) -> Array:  # noqa: ARG001  # as zeros has it
    return np.full(shape, "", dtype=object)


def _uneven(arrays: Sequence[Array | None], counts: Sequence[int]) -> Array:
    values = np.empty(sum(counts), dtype=object)
    place = 0
    for array, count in zip(arrays, counts, strict=True):
        for row in range(count):
            values[place] = None if array is None else array[row]
            place += 1
    return values


def values_a_row(spec: TensorSpec) -> int | None:
    """How many values a row of an output has; None where that may differ."""
    if spec.unranked or any(size < 0 for size in spec.shape[1:]):
        return None
    return int(np.prod(spec.shape[1:], dtype=np.int64))
