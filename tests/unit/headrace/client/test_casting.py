"""What becomes of values on their way into a model."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from headrace import errors
from headrace.client.casting import cast
from headrace.client.input_errors import InputTypeError
from headrace.client.tensors import TensorMetadata
from headrace.datatypes import NUMPY_DTYPES, Datatype

INF, NAN = float("inf"), float("nan")


def spec(datatype: Datatype) -> TensorMetadata:
    """An input x of this datatype."""
    return TensorMetadata("x", datatype, (-1, 4))


@pytest.mark.parametrize(
    ("values", "datatype", "expected"),
    [
        ([[1, 2.5]], Datatype.FP32, np.array([[1, 2.5]], dtype=np.float32)),
        ([1, 2], Datatype.FP16, np.array([1, 2], dtype=np.float16)),
        ([1, 2], Datatype.BF16, np.array([1, 2], dtype=ml_dtypes.bfloat16)),
        ([1.5], Datatype.BF16, np.array([1.5], dtype=ml_dtypes.bfloat16)),
        ([0.1, NAN, INF], Datatype.FP32, np.array([0.1, NAN, INF], dtype=np.float32)),
        ([2**24, -(2**30)], Datatype.FP32, np.array([2**24, -(2**30)], dtype=np.float32)),
        ([255], Datatype.UINT8, np.array([255], dtype=np.uint8)),
        ([2**64 - 1, 1], Datatype.UINT64, np.array([2**64 - 1, 1], dtype=np.uint64)),
        (3, Datatype.INT64, np.array(3, dtype=np.int64)),
        ([True], Datatype.BOOL, np.array([True])),
        ([], Datatype.INT32, np.array([], dtype=np.int32)),
        (["a", b"\xff"], Datatype.BYTES, np.array([b"a", b"\xff"], dtype=object)),
        ("a", Datatype.BYTES, np.array(b"a", dtype=object)),
        (np.array(["ß"]), Datatype.BYTES, np.array(["ß".encode()], dtype=object)),
        (np.array([0.1]), Datatype.FP32, np.array([0.1], dtype=np.float32)),
        (np.array([5], np.uint8), Datatype.FP32, np.array([5], dtype=np.float32)),
        (np.array([5], np.uint8), Datatype.INT64, np.array([5], dtype=np.int64)),
        (np.array([0.5], np.float16), Datatype.FP64, np.array([0.5])),
        (np.array([7], ">i8"), Datatype.INT64, np.array([7], dtype=np.int64)),
        (np.array([7], ">f8"), Datatype.FP32, np.array([7], dtype=np.float32)),
    ],
)
def test_values_become_what_the_model_takes(values: Any, datatype: Datatype, expected: Any) -> None:
    """A row each: a value, a datatype, and the array."""
    array, _ = cast(values, spec(datatype))

    assert (expected.dtype, expected.shape) == (array.dtype, array.shape)
    assert expected.tobytes() == array.tobytes() or array.dtype == object
    assert [repr(item) for item in expected.flat] == [repr(item) for item in array.flat]


@pytest.mark.parametrize(
    ("values", "datatype", "why"),
    [
        ([1.5], Datatype.INT64, "holds floats; cast them yourself if that is meant"),
        ([2.0], Datatype.INT64, "holds floats"),
        ([256], Datatype.UINT8, "256 is not from 0 to 255"),
        ([-1], Datatype.UINT32, "-1 is not from 0"),
        ([2**64], Datatype.UINT64, "too"),
        ([2**63, -1], Datatype.INT64, "too"),
        ([2**24 + 1], Datatype.FP32, "FP32 does not hold 16777217 exactly"),
        ([2**63 - 1], Datatype.FP64, "FP64 does not hold 9223372036854775807 exactly"),
        ([65_536], Datatype.FP16, "FP16 does not hold 65536 exactly"),
        ([1.0, 1e39], Datatype.FP32, r"1e\+39 is too large for FP32"),
        (np.array([0.1], np.float32), Datatype.FP16, "rounded"),
        ([[1], [1, 2]], Datatype.FP32, "its lists are not of the same length"),
        (["1"], Datatype.FP32, "it holds text"),
        (None, Datatype.FP32, "it holds values of type NoneType"),
        ([1, None], Datatype.FP32, "it holds values of type NoneType"),
        ([1], Datatype.BOOL, "holds integers"),
        ([True], Datatype.FP32, "holds booleans"),
        ([1], Datatype.BYTES, "holds values of type int; give str or bytes"),
        ([["a"], ["b", "c"]], Datatype.BYTES, "holds values of type list"),
        (np.array([1j]), Datatype.FP32, "holds complex128"),
        (np.array(["2026-01-01"], "datetime64[D]"), Datatype.INT64, "datetime64"),
    ],
)
def test_what_does_not_fit_is_refused(values: Any, datatype: Datatype, why: str) -> None:
    """Nothing overflows, is cut or guessed; the message says what is taken, what was given, and why not."""
    with pytest.raises(
        InputTypeError, match=rf"input 'x' takes {datatype} \[-1, 4\], got .*: .*{why}"
    ) as caught:
        cast(values, spec(datatype))

    assert "INPUT_NOT_CONVERTIBLE" == caught.value.reason
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, errors.InvalidArgument)


def test_text_is_called_text() -> None:
    """Not by numpy's name for it."""
    with pytest.raises(InputTypeError, match=r"got list of text \[1\]"):
        cast(["half"], spec(Datatype.FP32))


@pytest.mark.parametrize("datatype", [d for d in Datatype if d is not Datatype.BYTES])
def test_arrays_of_the_datatype_are_the_same_array(datatype: Datatype) -> None:
    """Nothing is copied, and there is nothing to say."""
    array = np.zeros(3, dtype=NUMPY_DTYPES[datatype])

    same, note = cast(array, spec(datatype))

    assert array is same
    assert "" == note


def test_an_array_that_was_cast_is_noted_and_a_list_is_not() -> None:
    """A list has no dtype that could have been meant."""
    _, of_array = cast(np.array([1.0]), spec(Datatype.FP32))
    _, of_list = cast([1.0], spec(Datatype.FP32))

    assert ("input 'x' was cast from float64 to FP32", "") == (of_array, of_list)


@pytest.mark.parametrize(
    "source", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32, np.uint64]
)
@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.BF16, Datatype.FP32, Datatype.FP64])
def test_integers_become_floats_exactly_or_not_at_all(source: Any, datatype: Datatype) -> None:
    """Every power of two, and its neighbours: what is taken has the same value as a Python int."""
    limits = np.iinfo(source)
    values = {
        base + step for bit in range(65) for base in (2**bit, -(2**bit)) for step in (-1, 0, 1)
    }
    for value in (v for v in values if limits.min <= v <= limits.max):
        with np.errstate(over="ignore"):
            held = np.array([value], source).astype(NUMPY_DTYPES[datatype]).astype(float).item()
        exact = abs(held) != INF and int(held) == value
        try:
            array, _ = cast(np.array([value], source), spec(datatype))
        except InputTypeError:
            assert not exact, value
        else:
            assert exact, value
            assert value == int(array.astype(float).item())
