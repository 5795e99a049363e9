"""Baselines: the rows that stand for features that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.predictors.predictor import Array, Tensors, rows_of

BACKGROUND_ROWS = 8
"""Of a sample, so many rows stand for it, evenly over it, if nothing else is said."""
_FEW_VALUES = 20


@dataclass(frozen=True, slots=True)
class Baseline:
    """One or more rows, and their name for people."""

    rows: Tensors
    name: str


def zeros(row: Tensors) -> Baseline:
    """Zeros, and empty texts."""
    return Baseline({name: _zero(array) for name, array in row.items()}, "zeros")


def mean_of(sample: Tensors) -> Baseline:
    """The means of numbers, the most frequent of texts and of whole numbers that are few."""
    found = {name: _middle(array) for name, array in sample.items()}
    return Baseline(found, f"the mean of {rows_of(sample):,} rows, of categories the most frequent")


def sample_of(sample: Tensors, rows: int = BACKGROUND_ROWS, name: str = "") -> Baseline:
    """Rows of a sample, evenly over it: an answer without features is the mean over them."""
    count = rows_of(sample)
    if not count:
        raise invalid("the sample for the baseline has no rows")
    places = np.unique(np.linspace(0, count - 1, min(rows, count)).round().astype(int))
    taken = {key: array[places] for key, array in sample.items()}
    return Baseline(taken, f"{len(places)} of {count:,} rows{name and f' of {name}'}")


def typical(row: Tensors, values: Mapping[str, float | str], name: str = "reference") -> Baseline:
    """A row of what is typical by field, named as references name them: `input x`, `input x[3]`.

    Raises InvalidArgument (EXPLANATION_INVALID) for a field of which nothing was learnt.
    """
    return Baseline(
        {tensor: _typical(tensor, array, values) for tensor, array in row.items()}, name
    )


def named_baseline(
    word: str,
    row: Tensors,
    *,
    sample: Tensors | None = None,
    values: Mapping[str, float | str] | None = None,
) -> Baseline:
    """The baseline of a word: reference, mean, sample, zeros; '' takes the first that there is.

    `sample` are rows to take the mean or some rows of; `values` what is typical, from a reference.
    Raises InvalidArgument (EXPLANATION_INVALID) for another word, or where what it takes is not there.
    """
    chosen = word or ("reference" if values else "mean" if sample else "zeros")
    if chosen == "zeros":
        return zeros(row)
    if chosen == "reference":
        if not values:
            raise invalid("the version has no reference: take another baseline, or set one")
        return typical(row, values)
    if chosen not in ("mean", "sample"):
        raise invalid(
            f"{word!r} is no baseline: take zeros, mean, sample, reference, of images also blur"
        )
    if not sample:
        raise invalid(f"the baseline {chosen!r} takes rows of your data")
    return mean_of(sample) if chosen == "mean" else sample_of(sample)


def _typical(tensor: str, array: Array, values: Mapping[str, float | str]) -> Array:
    made = array.copy().reshape(-1)
    for place in range(made.size):
        field = f"input {tensor}" if made.size == 1 else f"input {tensor}[{place}]"
        if field not in values:
            raise invalid(
                f"the version's reference has no typical value of {field!r}: take another baseline: "
                "zeros, the mean or rows of a sample"
            )
        made[place] = _as(array, values[field])
    return made.reshape(array.shape)


def _as(array: Array, value: float | str) -> object:
    if array.dtype == object:
        return str(value).encode()
    try:
        number = float(value)
    except ValueError:
        raise invalid(f"the reference has {value!r} where numbers are taken") from None
    return round(number) if array.dtype.kind in "iu" else number


def _zero(array: Array) -> Array:
    if array.dtype == object:
        return np.full(array.shape, b"", dtype=object)
    return np.zeros_like(array)


def _middle(array: Array) -> Array:
    flat = array.reshape(len(array), -1)
    found = np.empty((1, flat.shape[1]), array.dtype)
    for place in range(flat.shape[1]):
        found[0, place] = _middle_of(flat[:, place])
    return found.reshape((1, *array.shape[1:]))


def _middle_of(column: Array) -> object:
    if column.dtype.kind in "fV":
        return np.nanmean(column.astype(np.float64)) if not np.isnan(column).all() else np.nan
    values, counts = np.unique(column, return_counts=True)
    if column.dtype.kind in "iu" and len(values) > _FEW_VALUES:
        return round(float(column.astype(np.float64).mean()))
    return values[counts.argmax()]
