"""Takes rows apart into the fields that references tell of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.layouts import VALUE, FieldKind, FieldLayout, Place
from headrace.data_profiles.learning import ObservedField

MAX_COLUMNS = 256
"""A tensor with more numbers a row is looked at whole, not by column."""
_LENGTH = "length"

Array = npt.NDArray[Any]


def observed_fields(
    inputs: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Iterator[ObservedField]:
    """The fields of arrays by the names of inputs and outputs, all with as many rows."""
    for place, arrays in ((Place.INPUT, inputs), (Place.OUTPUT, outputs)):
        for tensor, array in arrays.items():
            yield from _fields(place, tensor, array)


def _fields(place: Place, tensor: str, array: Array) -> Iterator[ObservedField]:
    rows = array.reshape(len(array), -1)
    columns = rows.shape[1]
    if columns > MAX_COLUMNS:
        return
    for column in range(columns):
        at = -1 if columns == 1 else column
        name = f"{place.value} {tensor}" + ("" if at < 0 else f"[{at}]")
        yield _field(FieldLayout(name, place, FieldKind.NUMBER, tensor, at), rows[:, column])


def _field(layout: FieldLayout, values: Array) -> ObservedField:
    if values.dtype.kind in "OUS":
        texts = np.array([_text(value) for value in values.tolist()], object)
        lengths = np.array([len(text) for text in texts], np.float64)
        lengths[lengths == 0] = np.nan
        text = FieldLayout(layout.name, layout.place, FieldKind.TEXT, layout.tensor, layout.column)
        return ObservedField(text, {VALUE: texts, _LENGTH: lengths})
    return ObservedField(layout, {VALUE: values.astype(np.float64)})


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)
