"""Compares two answers to the same request. Pure functions of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headrace.payload_log.records import Array

MISSING = "missing"
SHAPES = "of another shape"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far numbers may lie apart: `absolute` plus `relative` times the expected one."""

    relative: float = 1e-4
    absolute: float = 1e-6


class Flip(NamedTuple):
    """A row whose class became another: of an integer, a text, or the largest of several weights."""

    output: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """An output that is not the same."""

    output: str
    rows: int
    """How many rows differ."""
    largest: float | None = None
    """The largest difference of two numbers; None of texts and of what cannot be compared."""
    why: str = ""
    """MISSING or SHAPES, where there are no two tensors to compare."""


def differences(
    expected: Mapping[str, Array], found: Mapping[str, Array], tolerance: Tolerance
) -> Iterator[Difference]:
    """Yield the outputs that differ; those that were not expected do not matter."""
    for name, before in expected.items():
        after = found.get(name)
        if after is None:
            yield Difference(name, _rows(before), why=MISSING)
        elif before.shape != after.shape:
            yield Difference(name, _rows(before), why=SHAPES)
        elif (difference := _difference(name, before, after, tolerance)) is not None:
            yield difference


def flips(expected: Mapping[str, Array], found: Mapping[str, Array]) -> Iterator[Flip]:
    """Yield each row whose class differs, of every output that has classes."""
    for name, before in expected.items():
        after = found.get(name)
        if after is None or before.shape != after.shape:
            continue
        classes, others = _classes(before), _classes(after)
        if classes is not None and others is not None:
            pairs = zip(classes, others, strict=True)
            yield from (Flip(name, one, other) for one, other in pairs if one != other)


def _difference(name: str, before: Array, after: Array, tolerance: Tolerance) -> Difference | None:
    if _is_text(before) or _is_text(after):
        differ = np.array(
            [
                _text(one) != _text(other)
                for one, other in zip(before.flat, after.flat, strict=True)
            ],
            bool,
        ).reshape(before.shape)
        return Difference(name, _rows_of(differ)) if differ.any() else None
    one, other = before.astype(np.float64), after.astype(np.float64)
    close = np.isclose(other, one, tolerance.relative, tolerance.absolute, equal_nan=True)
    if close.all():
        return None
    with np.errstate(invalid="ignore"):
        apart = np.abs(other - one)[~close]
    largest = float(np.nanmax(apart)) if not np.isnan(apart).all() else math.inf
    return Difference(name, _rows_of(~close), largest)


def _classes(array: Array) -> list[str] | None:
    """The class of each row; None of an output of other things."""
    columns = int(np.prod(array.shape[1:])) if array.ndim else 1
    if columns == 1 and (_is_text(array) or array.dtype.kind in "biu"):
        return [_text(value) for value in array.ravel().tolist()]
    if array.ndim == 2 and columns > 1 and array.dtype.kind not in "biuOSU":
        return [str(place) for place in array.astype(np.float64).argmax(axis=1).tolist()]
    return None


def _is_text(array: Array) -> bool:
    return array.dtype.kind in "OSU"


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _rows(array: Array) -> int:
    return array.shape[0] if array.ndim else 1


def _rows_of(differ: Array) -> int:
    """How many rows have any that differs."""
    if differ.ndim < 2:
        return int(differ.sum())
    return int(differ.reshape(len(differ), -1).any(axis=1).sum())
