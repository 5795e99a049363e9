"""Tensors as JSON, both ways: values row-major, flat or nested as the shape says.

JSON has no numbers that are not finite. Here they are the strings "NaN", "Infinity" and "-Infinity", in
requests and in answers, as in protobuf's JSON; numpy and Python's `float` read them as they are. FP16 and
BF16 have no JSON form in the protocol and travel as binary data. BYTES elements are strings.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np

from headrace.datatypes import NUMPY_DTYPES, Datatype, to_wire
from headrace.errors import InvalidArgument
from headrace_inference.domain.requests import Array, TensorHeader

Float = float | Literal["NaN", "Infinity", "-Infinity"]

_BINARY_ONLY = (Datatype.FP16, Datatype.BF16)
_WHITESPACE = b" \t\n\r"
_KEPT_DECODERS = 256


def tensor_from_json(header: TensorHeader, data: msgspec.Raw) -> Array:
    """The tensor that an input's `data` is; its header must have passed the checks.

    Raises InvalidArgument for values of another datatype or range, and for another shape.
    """
    datatype = Datatype(header.datatype)
    if datatype in _BINARY_ONLY:
        raise _binary_only("input", header.name, datatype)
    depth = _depth(memoryview(data), most=max(1, len(header.shape)))
    try:
        values = _decoder(datatype, depth).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_data(header, str(error)) from None
    flat = _flat(header, values, depth)
    return _array(header, datatype, flat).reshape(header.shape)


def _depth(data: memoryview, most: int) -> int:
    """How many brackets the data opens with, up to one more than `most`."""
    depth = 0
    for byte in data:
        if byte == ord("["):
            depth += 1
        elif byte not in _WHITESPACE:
            break
        if depth > most:
            break
    return depth


@functools.lru_cache(maxsize=_KEPT_DECODERS)
def _decoder(datatype: Datatype, depth: int) -> msgspec.json.Decoder[Any]:
    values: Any = _element_type(datatype)
    for _ in range(depth):
        values = list[values]
    return msgspec.json.Decoder(values)


def _element_type(datatype: Datatype) -> Any:
    if datatype is Datatype.BOOL:
        return bool
    if datatype is Datatype.BYTES:
        return str
    dtype = NUMPY_DTYPES[datatype]
    if dtype.kind == "f":
        return Float
    if datatype is Datatype.UINT64:  # msgspec's bounds end at an int64; numpy checks the upper one
        return Annotated[int, msgspec.Meta(ge=0)]
    limits = np.iinfo(dtype)
    return Annotated[int, msgspec.Meta(ge=int(limits.min), le=int(limits.max))]


def _flat(header: TensorHeader, values: Any, depth: int) -> list[Any]:
    """The values in row-major order, once their nesting is found to be the header's shape."""
    expected = math.prod(header.shape)
    if depth == 0:
        values = [values]
    if depth <= 1:
        if len(values) != expected:
            raise _bad_data(header, f"it has {len(values)} values, its shape has {expected}")
        return list(values)
    if depth != len(header.shape) and expected:
        raise _bad_data(
            header, f"it is nested {depth} deep; it must be flat or {len(header.shape)} deep"
        )
    level = [values]
    for dimension, size in enumerate(header.shape[:depth]):
        for part in level:
            if len(part) != size:
                where = f"in dimension {dimension}, where its shape says {size}"
                raise _bad_data(header, f"it has {len(part)} values {where}")
        level = list(itertools.chain.from_iterable(level))
    return level


def _array(header: TensorHeader, datatype: Datatype, flat: list[Any]) -> Array:
    dtype = NUMPY_DTYPES[datatype]
    if datatype is Datatype.BYTES:
        array: Array = np.empty(len(flat), dtype=dtype)
        array[:] = flat
        return array
    try:
        with np.errstate(over="raise"):
            if datatype is Datatype.FP32:
                return np.array(flat, dtype=np.float64).astype(dtype)
            return np.array(flat, dtype=dtype)
    except (OverflowError, FloatingPointError):
        raise _bad_data(header, f"a value is too large for {datatype}") from None


class Described(Protocol):
    """What has a tensor's name and datatype."""

    @property
    def name(self) -> str:
        """The tensor's name."""

    @property
    def datatype(self) -> Datatype:
        """The tensor's datatype."""


def values_to_json(spec: Described, array: Array) -> list[Any]:
    """An output's `data`: its values, flat. Raises InvalidArgument where JSON cannot carry them."""
    if spec.datatype in _BINARY_ONLY:
        raise _binary_only("output", spec.name, spec.datatype)
    flat = array.reshape(-1)
    values: list[Any] = flat.tolist()
    if spec.datatype is Datatype.BYTES:
        return [_text(spec, element) for element in values]
    if flat.dtype.kind == "f":
        for index in np.flatnonzero(~np.isfinite(flat)):
            values[index] = _non_finite(values[index])
    return values


def _non_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _text(spec: Described, element: bytes | str) -> str:
    if isinstance(element, str):
        return element
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            "OUTPUT_NOT_UTF8",
            f"an element of output '{spec.name}' is no UTF-8 text ({error.reason}), which JSON cannot "
            "carry; ask for the output with the parameter binary_data: true",
        ) from None


def binary_contents(array: Array) -> bytes | memoryview:
    """An output's bytes in the binary tail; those of numbers are the array's own."""
    if array.dtype.kind in "SUO":
        return to_wire(array)
    contiguous: Array = np.ascontiguousarray(array)
    return contiguous.reshape(-1).view(np.uint8).data


def _bad_data(header: TensorHeader, what: str) -> InvalidArgument:
    return InvalidArgument(
        "DATA_INVALID",
        f"data of input '{header.name}' ({header.datatype}, shape {list(header.shape)}): {what}",
    )


def _binary_only(kind: str, name: str, datatype: Datatype) -> InvalidArgument:
    remedy = (
        "send it as binary data (parameter binary_data_size)"
        if kind == "input"
        else "ask for it with the parameter binary_data: true"
    )
    return InvalidArgument(
        "DATATYPE_NOT_IN_JSON",
        f"{datatype} has no JSON form: {kind} '{name}' cannot travel as JSON; {remedy}",
    )
