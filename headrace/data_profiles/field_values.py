"""Takes rows apart: the values of a field's aspects."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.binning import Values
from headrace.data_profiles.layouts import VALUE, FieldKind, FieldLayout
from headrace.data_profiles.projections import projected
from headrace.data_profiles.scripts import script_of
from headrace.data_profiles.tensor_fields import (
    BUCKET,
    BUCKETS,
    CLASS,
    CONFIDENCE,
    DEVIATION,
    LENGTH,
    MEAN,
    NORM,
    SCRIPT,
    projection,
)

Rows = npt.NDArray[Any]
"""A tensor as [rows, elements of a row]."""

_SUMS_TO_ONE = 1e-3


def rows_of(array: npt.NDArray[Any]) -> Rows:
    """A tensor whose first dimension are the rows."""
    return array.reshape(len(array), -1) if array.size else np.zeros((len(array), 0), array.dtype)


def values_of(
    field: FieldLayout, rows: Rows, labels: Sequence[str] = (), wanted: Collection[str] = ()
) -> Mapping[str, Values]:
    """The values of a field's aspects, by the aspect: all there can be, or those that are wanted.

    `labels` are the names of the classes of an output.
    """
    if field.kind is FieldKind.TENSOR:
        return tensor_values(rows)
    if field.kind is FieldKind.CLASS:
        return class_values(rows, labels)
    column = rows[:, max(field.column, 0)]
    if column.dtype.kind in "OUS":
        return text_values(column, wanted)
    return {VALUE: column}


def tensor_values(rows: Rows) -> Mapping[str, Values]:
    """Norm, mean, deviation and projections of whole rows; a row with a NaN has none."""
    with np.errstate(invalid="ignore", over="ignore"):
        numbers = rows.astype(np.float32, copy=False)
        if not numbers.shape[1]:
            missing = np.full(len(numbers), np.nan, np.float32)
            means, deviations, norms = missing, missing, missing
        else:
            means, deviations = numbers.mean(axis=1), numbers.std(axis=1)
            norms = np.sqrt(np.einsum("ij,ij->i", numbers, numbers, dtype=np.float64))
        values = {NORM: norms, MEAN: means, DEVIATION: deviations}
        for number, column in enumerate(projected(numbers).T):
            values[projection(number)] = column
    return values


def class_values(rows: Rows, labels: Sequence[str] = ()) -> Mapping[str, Values]:
    """The class of most weight and its weight: as it is where the weights are shares of 1, else softmax."""
    weights = rows.astype(np.float64, copy=False)
    best = np.argmax(np.where(np.isnan(weights), -np.inf, weights), axis=1)
    chosen = weights[np.arange(len(weights)), best]
    with np.errstate(invalid="ignore", over="ignore"):
        is_share = (weights >= 0).all(axis=1) & (abs(weights.sum(axis=1) - 1) < _SUMS_TO_ONE)
        softmax = 1 / np.exp(weights - chosen[:, np.newaxis]).sum(axis=1)
    confidence = np.where(is_share, chosen, softmax)
    count = weights.shape[1]
    names = np.array(labels if len(labels) == count else list(map(str, range(count))), object)
    classes = names[best]
    classes[np.isnan(weights).any(axis=1)] = ""
    return {CLASS: classes, CONFIDENCE: confidence}


def text_values(column: Values, wanted: Collection[str] = ()) -> Mapping[str, Values]:
    """The texts of a column, their lengths, scripts, and buckets."""
    texts = np.array([as_text(value) for value in column.tolist()], object)
    found: dict[str, Values] = {}
    if not wanted or VALUE in wanted:
        found[VALUE] = texts
    if not wanted or LENGTH in wanted:
        lengths = np.array([len(text) for text in texts], np.float64)
        lengths[lengths == 0] = np.nan
        found[LENGTH] = lengths
    if not wanted or SCRIPT in wanted:
        found[SCRIPT] = np.array([script_of(text) for text in texts], object)
    if not wanted or BUCKET in wanted:
        found[BUCKET] = np.array([_bucket(text) for text in texts], object)
    return found


def as_text(value: object) -> str:
    """A text as it is, or its bytes as UTF-8; '' for none."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


def _bucket(text: str) -> str:
    return str(zlib.crc32(text.encode(errors="replace")) % BUCKETS) if text else ""
