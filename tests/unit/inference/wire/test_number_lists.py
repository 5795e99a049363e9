"""Lists of numbers as arrays: by `struct` where they are long, as numpy makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace_inference.wire.rest.number_lists import FEW, array_of


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "INT32", "INT64", "UINT64", "FP32", "FP64"])
@pytest.mark.parametrize("count", [FEW, FEW + 1, 5 * FEW])
def test_lists_are_the_same_arrays_however_long(datatype: str, count: int) -> None:
    """Their largest and smallest values, and halves that round."""
    dtype = NUMPY_DTYPES[Datatype(datatype)]
    if dtype.kind == "f":
        info = np.finfo(dtype)
        values = [float(info.max), -float(info.max), 0.1, float(info.tiny) / 2, -0.0, 7.0]
    elif dtype.kind == "b":
        values = [True, False, False]
    else:
        limits = np.iinfo(dtype)
        values = [int(limits.max), int(limits.min), 3]
    values = (values * count)[:count]
    expected = np.array(values, dtype)
    assert expected.tobytes() == array_of(values, dtype).tobytes()
    assert expected.dtype == array_of(values, dtype).dtype


@pytest.mark.parametrize(
    ("datatype", "values"),
    [("UINT64", [2**64]), ("INT64", [-(2**63) - 1]), ("FP64", ["x"])],
)
def test_long_lists_of_what_does_not_fit_are_refused_as_short_ones_are(
    datatype: str, values: list[Any]
) -> None:
    """By numpy's own errors."""
    dtype = NUMPY_DTYPES[Datatype(datatype)]
    with pytest.raises((OverflowError, ValueError)):
        array_of([0] * FEW + values, dtype)


def test_names_of_numbers_are_read_in_long_lists() -> None:
    """They are what JSON has for numbers that are not finite."""
    array = array_of([0.5] * FEW + ["NaN", "-Infinity"], np.dtype(np.float64))
    assert [0.5, -np.inf] == [array[0], array[-1]]
    assert np.isnan(array[-2])
