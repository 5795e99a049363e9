"""Values of rows as people read them, as far as they may be told."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.field_values import as_text, class_values, rows_of
from headrace.data_profiles.layouts import FieldKind, FieldLayout
from headrace.data_profiles.profiling import RowProfiler, Tensors
from headrace.data_profiles.tensor_fields import CLASS

MAX_LENGTH = 64
"""Characters of a value."""


class ValuesTold(StrEnum):
    """Which values of rows are told."""

    OFF = "off"
    """None: of each value its bin alone."""
    NUMBERS = "numbers"
    """Numbers, truth values, and classes of outputs; of texts their bins."""
    ALL = "all"
    """Texts, too."""


def shown_values(
    profiler: RowProfiler, tensors: Tensors, row: int, told: ValuesTold
) -> tuple[str, ...]:
    """The value of each field in a row; '' where it is none that is told, and nothing where none is."""
    if told is ValuesTold.OFF:
        return ()
    return tuple([_value(profiler, field, tensors, row, told) for field in profiler.layout.fields])


def _value(
    profiler: RowProfiler, field: FieldLayout, tensors: Tensors, row: int, told: ValuesTold
) -> str:
    array = tensors.get((field.place, field.tensor))
    if array is None or field.kind is FieldKind.TENSOR:
        return ""
    rows = rows_of(array[row : row + 1])
    if field.kind is FieldKind.CLASS:
        labels = profiler.labels.get(field.tensor, ())
        return str(class_values(rows, labels)[CLASS][0])[:MAX_LENGTH] if rows.size else ""
    column = max(field.column, 0)
    if column >= rows.shape[1]:
        return ""
    return _shown(rows[0, column], told)


def _shown(value: Any, told: ValuesTold) -> str:
    if isinstance(value, (bytes, str)):
        return as_text(value)[:MAX_LENGTH] if told is ValuesTold.ALL else ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return str(int(value)) if _is_whole(value) else f"{float(value):.6g}"


def _is_whole(value: npt.NDArray[Any] | np.generic) -> bool:
    return isinstance(value, np.integer)
