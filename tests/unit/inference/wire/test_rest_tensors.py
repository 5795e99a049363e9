"""Tensors as JSON: which values are taken for which datatype and shape, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.errors import InvalidArgument
from headrace.state.records import TensorSpec
from headrace_inference.domain.scheduling.requests import Array, TensorHeader
from headrace_inference.wire.rest.tensors import (
    binary_contents,
    tensor_from_json,
    tensor_to_json,
)

INTEGERS = [datatype for datatype in Datatype if NUMPY_DTYPES[datatype].kind in "iu"]


def read(datatype: str, shape: tuple[int, ...], text: str) -> Array:
    return tensor_from_json(TensorHeader("x", datatype, shape), msgspec.Raw(text.encode()))


@pytest.mark.parametrize("datatype", INTEGERS)
def test_limits_of_integers(datatype: Datatype) -> None:
    """An integer datatype takes its own smallest and largest value, and nothing beyond them."""
    limits = np.iinfo(NUMPY_DTYPES[datatype])
    low, high = int(limits.min), int(limits.max)
    array = read(datatype, (2,), json.dumps([low, high]))
    assert [low, high] == array.tolist()
    assert NUMPY_DTYPES[datatype] == array.dtype
    for beyond in (low - 1, high + 1):
        with pytest.raises(InvalidArgument, match="data of input 'x'"):
            read(datatype, (1,), json.dumps([beyond]))


@pytest.mark.parametrize(
    ("datatype", "text"),
    [
        ("INT32", "[1.5]"),
        ("INT32", "[1.0]"),
        ("INT32", '["1"]'),
        ("INT32", "[true]"),
        ("INT32", "[null]"),
        ("INT32", f"[{'9' * 5000}]"),
        ("UINT64", f"[{2**64}]"),
        ("BOOL", "[1]"),
        ("FP32", "[true]"),
        ("FP32", '["nan"]'),
        ("FP32", "[1e39]"),
        ("FP64", "[1e400]"),
        ("FP64", f"[{'9' * 400}]"),
        ("BYTES", "[1]"),
        ("BYTES", "[null]"),
        ("FP32", "{}"),
        ("FP32", '"1"'),
        ("FP32", "[[[1]]]"),
        ("FP32", "[" * 100_000),
    ],
)
def test_values_of_another_kind(datatype: str, text: str) -> None:
    """A value that is not of the input's datatype is refused, never rounded, wrapped or cut."""
    with pytest.raises(InvalidArgument) as caught:
        read(datatype, (1,), text)
    assert "DATA_INVALID" == caught.value.reason
    assert caught.value.message.startswith(f"data of input 'x' ({datatype}, shape [1]): ")


def test_text_that_is_no_utf8() -> None:
    """A string whose bytes are no UTF-8 is refused."""
    with pytest.raises(InvalidArgument) as caught:
        tensor_from_json(TensorHeader("x", "BYTES", (1,)), msgspec.Raw(b'["\xff"]'))
    assert "DATA_INVALID" == caught.value.reason


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((), "7"),
        ((), "[7]"),
        ((1,), "[7]"),
        ((1,), "7"),
        ((2, 3), "[[1,2,3],[4,5,6]]"),
        ((2, 3), "[1,2,3,4,5,6]"),
        ((2, 1, 3), " [ [ [1,2,3] ], [[4,5,6]]]"),
        ((0, 3), "[]"),
        ((2, 0), "[[],[]]"),
        ((2, 0), "[]"),
        ((2, 0, 3), "[[],[]]"),
    ],
)
def test_flat_and_nested(shape: tuple[int, ...], text: str) -> None:
    """Data is taken flat or nested as the shape says, row-major."""
    array = read("INT64", shape, text)
    assert shape == array.shape
    assert np.array(json.loads(text)).ravel().tolist() == array.ravel().tolist()


@pytest.mark.parametrize(
    ("shape", "text", "message"),
    [
        ((2, 3), "[[1,2],[3,4],[5,6]]", "it has 3 values in dimension 0, where its shape says 2"),
        ((2, 3), "[[1,2,3],[4,5]]", "it has 2 values in dimension 1, where its shape says 3"),
        ((2, 3), "[1,2,3]", "it has 3 values, its shape has 6"),
        ((2, 2, 2), "[[1,2,3,4],[5,6,7,8]]", "it is nested 2 deep; it must be flat or 3 deep"),
        ((0, 3), "[1]", "it has 1 values, its shape has 0"),
        ((2, 2), "[[1,2],3]", "Expected `array`, got `int`"),
    ],
)
def test_data_of_another_shape(shape: tuple[int, ...], text: str, message: str) -> None:
    """Data that is not of the input's shape is refused, saying where."""
    with pytest.raises(InvalidArgument) as caught:
        read("INT64", shape, text)
    assert message in caught.value.message


def test_numbers_that_are_not_finite() -> None:
    """NaN and the infinities travel as strings, both ways."""
    array = read("FP32", (4,), '["NaN", "Infinity", "-Infinity", 0.5]')
    assert math.isnan(array[0])
    assert [math.inf, -math.inf, 0.5] == array[1:].tolist()
    assert b'["NaN","Infinity","-Infinity",0.5]' == tensor_to_json(spec(Datatype.FP32), array)


def test_bare_nan_is_no_json() -> None:
    """A bare NaN, which is no JSON, is refused."""
    with pytest.raises(InvalidArgument, match="malformed"):
        read("FP32", (1,), "[NaN]")


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.BF16])
def test_datatypes_without_json(datatype: Datatype) -> None:
    """FP16 and BF16 have no JSON form, and the error says what to use instead."""
    with pytest.raises(InvalidArgument, match="binary_data_size"):
        read(datatype, (1,), "[1]")
    with pytest.raises(InvalidArgument, match="binary_data: true") as caught:
        tensor_to_json(spec(datatype), np.zeros(1, NUMPY_DTYPES[datatype]))
    assert "DATATYPE_NOT_IN_JSON" == caught.value.reason


def test_bytes_that_are_no_text() -> None:
    """Output bytes that JSON cannot carry are an error that says how to get them."""
    array = np.array([b"ok", b"\xff"], dtype=np.object_)
    with pytest.raises(InvalidArgument, match="binary_data: true") as caught:
        tensor_to_json(spec(Datatype.BYTES), array)
    assert "OUTPUT_NOT_UTF8" == caught.value.reason


@pytest.mark.parametrize(
    "array",
    [
        np.array(2.5, dtype=np.float32),
        np.zeros((0, 3), dtype=np.int64),
        np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::2],
        np.array([1.5, -2], dtype=NUMPY_DTYPES[Datatype.BF16]),
    ],
)
def test_binary_contents(array: Array) -> None:
    """The binary form of numbers is their bytes in row-major order, whatever the array's strides."""
    assert array.tobytes() == bytes(binary_contents(array))


def test_elements_are_taken_as_they_are() -> None:
    """Strings keep their characters, and a nested list of them its order."""
    array = read("BYTES", (2, 2), json.dumps([["", "ä"], ["\x00", "🙂"]]))
    assert [["", "ä"], ["\x00", "🙂"]] == array.tolist()


@pytest.mark.parametrize(
    "datatype", [d for d in Datatype if d not in (Datatype.FP16, Datatype.BF16)]
)
@pytest.mark.parametrize("count", [0, 1, 300_000])
def test_long_lists(datatype: Datatype, count: int) -> None:
    """A tensor of any length, written and read again, is the same to the bit."""
    random = np.random.default_rng(0)
    dtype = NUMPY_DTYPES[datatype]
    array: Array
    if datatype is Datatype.BYTES:
        array = np.array([f"{n}, ]" for n in range(count)], dtype=np.object_)
    elif dtype.kind == "f":
        array = random.standard_normal(count).astype(dtype)
    else:
        array = random.integers(0, 255, count * dtype.itemsize, np.uint8).view(dtype)
        array = array.astype(np.bool_) if datatype is Datatype.BOOL else array
    text = tensor_to_json(spec(datatype), array)
    assert array.tolist() == read(datatype, (count,), text.decode()).tolist()
    assert count == len(json.loads(text))


def test_fp32_has_few_digits() -> None:
    """A value is written as what people wrote, not as the nearest FP64."""
    assert b"[0.1,-0.3,7.0]" == tensor_to_json(
        spec(Datatype.FP32), np.array([0.1, -0.3, 7], dtype=np.float32)
    )


@pytest.mark.parametrize("spaces", ["", " ", "\n" * 10_000, " " * 200_000])
def test_long_lists_with_white_space(spaces: str) -> None:
    """White space of any length between values is none of them."""
    text = f"[{spaces}1{spaces},2{spaces},{'3,' * 50_000}4{spaces}]"
    assert [1, 2, *[3] * 50_000, 4] == read("INT32", (50_003,), text).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" + "1," * 50_000 + "1]", "it has 50001 values, its shape has 50000"),
        ("[" + "1," * 49_998 + "1]", "it has 49999 values, its shape has 50000"),
        ("[" + "1," * 49_999 + "1.5]", "Expected `int`, got `float` - at `$[49999]`"),
        ("[" + "1," * 40_000 + "[2]" + ",3" * 9_999 + "]", "Expected `int`, got `array`"),
        ("[" + "1," * 49_999 + "3000000000]", "Expected `int` <= 2147483647 - at `$[49999]`"),
    ],
)
def test_long_lists_that_are_wrong(text: str, message: str) -> None:
    """What is wrong far behind in a long list is found, and said as in a short one."""
    with pytest.raises(InvalidArgument) as caught:
        read("INT32", (50_000,), text)
    assert message in caught.value.message


def spec(datatype: Datatype) -> Any:
    return TensorSpec("y", datatype, (-1,))
