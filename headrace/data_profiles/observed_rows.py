"""Takes rows apart into the fields that references tell of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.binning import Values
from headrace.data_profiles.field_values import rows_of, values_of
from headrace.data_profiles.layouts import VALUE, Place
from headrace.data_profiles.learning import ObservedField
from headrace.data_profiles.tensor_fields import LENGTH, SCRIPT, tensor_fields

Array = npt.NDArray[Any]

_OF_TEXTS = (VALUE, LENGTH, SCRIPT)


def observed_fields(
    inputs: Mapping[str, Array],
    outputs: Mapping[str, Array],
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[ObservedField]:
    """The fields of arrays by the names of inputs and outputs, all with as many rows.

    `labels` are the names of classes, by output: those of the version's files of labels.
    """
    for place, arrays in ((Place.INPUT, inputs), (Place.OUTPUT, outputs)):
        for tensor, array in arrays.items():
            names = (labels or {}).get(tensor, ()) if place is Place.OUTPUT else ()
            yield from _fields(place, tensor, array, names)


def _fields(
    place: Place, tensor: str, array: Array, labels: Sequence[str]
) -> Iterator[ObservedField]:
    rows = rows_of(array)
    is_text, is_float = rows.dtype.kind in "OUS", rows.dtype.kind not in "OUSbiu"
    fields = tensor_fields(
        place, tensor, rows.shape[1], is_text=is_text, is_float=is_float, labels=labels
    )
    for field in fields:
        values = values_of(field, rows, labels, _OF_TEXTS)
        found = {aspect: _double(those) for aspect, those in values.items()}
        yield ObservedField(replace(field, aspects={}), found)


def _double(values: Values) -> Values:
    return values if values.dtype == object else values.astype(np.float64)
