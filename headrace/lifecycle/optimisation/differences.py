"""Compares a candidate's answers with its parent's: row by row, and beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headrace.lifecycle.optimisation.losses import Loss
from headrace.lifecycle.predictors.predictor import Array

_TOLERANCE = 1e-3
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """How a candidate's answers differ from its parent's."""

    rows: int
    largest: float
    """Of any value of floats; infinite where one is a number and the other none."""
    mean: float
    relative: float
    """The mean beside how much the parent's values vary."""
    agreement: float | None
    """The share of rows that get the same class; None where no output is of classes."""
    loss: Loss


def difference_of(
    before: Mapping[str, Array], after: Mapping[str, Array]
) -> tuple[float, float, Array, Array | None]:
    """The largest and the mean difference, the relative one by row, and which rows get the same class."""
    gaps = [_gap(before[name], after[name]) for name in before if _is_float(before[name])]
    largest = max((float(gap.max(initial=0)) for gap, _ in gaps), default=0.0)
    total = sum(gap.size for gap, _ in gaps)
    mean = sum(float(gap.sum()) for gap, _ in gaps) / total if total else 0.0
    relative = np.max([part for _, part in gaps], axis=0) if gaps else np.zeros(_rows(before))
    same = [
        _classes(before[name]) == _classes(after[name])
        for name in before
        if _is_of_classes(before[name])
    ]
    together = np.all(same, axis=0) if same else None
    return largest, mean, relative, together


def _rows(outputs: Mapping[str, Array]) -> int:
    return len(next(iter(outputs.values())))


def _is_float(array: Array) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def _gap(before: Array, after: Array) -> tuple[Array, Array]:
    """The differences of values, and by row what they are beside the values' spread."""
    one, other = before.astype(np.float64), after.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(one - other)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
    gap = np.where(same, 0.0, np.where(np.isfinite(gap), gap, np.inf))
    finite = one[np.isfinite(one)]
    spread = float(finite.std()) if finite.size else 0.0
    rows = gap.reshape(len(gap), -1)
    return gap, (rows.mean(axis=1) if rows.shape[1] else np.zeros(len(gap))) / max(spread, _TINY)


def _is_of_classes(array: Array) -> bool:
    """Return whether each row is a class, or has the probabilities of classes."""
    width = int(np.prod(array.shape[1:]))
    if array.dtype.kind in "iubOSU":
        return width == 1
    if not _is_float(array) or array.ndim != 2 or width < 2:
        return False
    values = array.astype(np.float64)
    inside = np.isfinite(values).all() and values.min() >= -_TOLERANCE
    return bool(inside and np.allclose(values.sum(axis=1), 1, atol=_TOLERANCE))


def _classes(array: Array) -> Array:
    flat = array.reshape(len(array), -1)
    return flat[:, 0] if flat.shape[1] == 1 else np.asarray(flat.argmax(axis=1))
