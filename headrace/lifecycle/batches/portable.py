"""Values of columns as texts have them: Python's own, of which JSON knows all."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.lifecycle.batches.answers import Column, values_a_row
from headrace.lifecycle.predictors.predictor import Array


def listed(column: Column) -> list[Any]:
    """A value for each row: a single one as itself, several as lists; None where there is none."""
    values = column.values
    if column.spec is not None and values_a_row(column.spec) == 1:
        values = values.reshape(len(values))
    found = _plain(values)
    if column.missing is not None:
        return [None if gone else value for value, gone in zip(found, column.missing, strict=True)]
    return found


def spread(column: Column) -> list[tuple[str, list[Any]]]:
    """A column for each value of an output that has several a row, named `x[0]`, `x[1]` …; else itself."""
    count = values_a_row(column.spec) if column.spec is not None else 1
    if count is None or count <= 1:
        return [(column.name, listed(column))]
    flat = column.values.reshape(len(column.values), count)
    return [
        (
            f"{column.name}[{place}]",
            listed(Column(column.name, flat[:, place], None, column.missing)),
        )
        for place in range(count)
    ]


def _plain(values: Array) -> list[Any]:
    if values.dtype == object:
        return [_value(value) for value in values.tolist()]
    if values.dtype.kind == "V":
        values = values.astype(np.float32)  # BF16, whose values are all among them
    if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
        named: list[Any] = _named(values.tolist())
        return named
    found: list[Any] = values.tolist()
    return found


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, np.ndarray):
        return _plain(value)
    if isinstance(value, np.generic):
        return _value(value.item())
    if isinstance(value, list | tuple):
        return [_value(each) for each in value]
    return _named(value) if isinstance(value, float) else value


def text_of(value: bytes) -> Any:
    """Bytes as text; what is none is {"b64": …}."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _named(value: Any) -> Any:
    """Numbers that JSON has not, by their names."""
    if isinstance(value, list):
        return [_named(each) for each in value]
    if not isinstance(value, float) or np.isfinite(value):
        return value
    return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def names(columns: Sequence[Column]) -> list[str]:
    """The headings where each value has a column."""
    return [name for column in columns for name in _headings(column)]


def _headings(column: Column) -> list[str]:
    count = values_a_row(column.spec) if column.spec is not None else 1
    if count is None or count <= 1:
        return [column.name]
    return [f"{column.name}[{place}]" for place in range(count)]
