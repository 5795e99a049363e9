"""Tensors as JSON, both ways: values row-major, flat or nested as the shape says.

JSON has no numbers that are not finite. Here they are the strings "NaN", "Infinity" and "-Infinity", in
requests and in answers, as in protobuf's JSON; numpy and Python's `float` read them as they are. FP16 and
BF16 have no JSON form in the protocol and travel as binary data. BYTES elements are strings.

Long lists of numbers are read and written piece by piece: a whole one would take a hundred bytes of memory
for a value of four, and hold up all other threads while it is parsed.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np
import orjson

from headrace.datatypes import NUMPY_DTYPES, Datatype, to_wire
from headrace.errors import InvalidArgument
from headrace_inference.domain.ingress.limits import NO_LIMIT, AnswerLimit
from headrace_inference.domain.scheduling.requests import Array, TensorHeader
from headrace_inference.wire.rest.number_lists import array_of

Float = float | Literal["NaN", "Infinity", "-Infinity"]

_BINARY_ONLY = (Datatype.FP16, Datatype.BF16)
_PLAIN = frozenset(Datatype) - {*_BINARY_ONLY, Datatype.BYTES}
_WHITESPACE = b" \t\n\r"
_KEPT_DECODERS = 256

PIECE_BYTES = 65_536
"""Of the text of a list of numbers: some 4,000 values, a fraction of a millisecond."""

PIECE_VALUES = 65_536
"""Values that are written at once: a millisecond or two."""

SHORTEST_VALUE = "0,"
"""No value takes less of the text."""


def tensor_from_json(header: TensorHeader, data: msgspec.Raw) -> Array:
    """The tensor that an input's `data` is; its header must have passed the checks.

    Raises InvalidArgument for values of another datatype or range, and for another shape.
    """
    datatype = Datatype(header.datatype)
    if datatype in _BINARY_ONLY:
        raise _binary_only("input", header.name, datatype)
    depth = _depth(memoryview(data), most=max(1, len(header.shape)))
    if depth == 1 and datatype is not Datatype.BYTES and len(memoryview(data)) > PIECE_BYTES:
        array = _long_list(header, datatype, memoryview(data))
        if array is not None:
            return array
    try:
        values = _decoder(datatype, depth).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_data(header, _said(error)) from None
    flat = _flat(header, values, depth)
    return _array(header, datatype, flat).reshape(header.shape)


class PlainNumbers:
    """Reads lists of numbers of one datatype, nesting and shape, as most requests bring them."""

    __slots__ = ("_count", "_decoder", "_dtype", "_is_flat", "_shape")

    def __init__(self, datatype: Datatype, shape: tuple[int, ...], depth: int) -> None:
        self._decoder = _plain_decoder(datatype, depth)
        self._dtype = NUMPY_DTYPES[datatype]
        self._shape = shape
        self._is_flat = depth == 1
        self._count = math.prod(shape)

    def read(self, text: bytes) -> Array | None:
        """The tensor; None for other values, or another number of them: whoever reads it anew says why."""
        try:
            values = self._decoder.decode(text)
            array: Array = (
                array_of(values, self._dtype)
                if self._is_flat
                else np.array(values, dtype=self._dtype)
            )
        except (
            msgspec.MsgspecError,
            UnicodeDecodeError,
            RecursionError,
            ValueError,
            OverflowError,
        ):
            return None
        if self._is_flat:
            return array.reshape(self._shape) if len(values) == self._count else None
        return array if array.shape == self._shape else None


def plain_numbers(header: TensorHeader, data: msgspec.Raw) -> PlainNumbers | None:
    """Return what reads data like this; None where it is no short list of numbers."""
    if header.datatype not in _PLAIN or len(memoryview(data)) > PIECE_BYTES:
        return None
    depth = _depth(memoryview(data), most=max(1, len(header.shape)))
    if depth not in (1, len(header.shape)) or 0 in header.shape:
        return None
    return PlainNumbers(Datatype(header.datatype), header.shape, depth)


def _said(error: Exception) -> str:
    text = str(error)
    if not text.startswith("Invalid enum value"):  # of the names of numbers that are not finite
        return text
    where = text.rpartition(" - at ")[2]
    return f'Expected `float`, "NaN", "Infinity" or "-Infinity", got `str` - at {where}'


def _long_list(header: TensorHeader, datatype: Datatype, data: memoryview) -> Array | None:
    """The tensor in a flat list of numbers; None for what is none, so that it is refused as a whole."""
    if data[0] != ord("[") or data[-1] != ord("]"):
        return None
    decoder = _decoder(datatype, 1)
    array: Array = np.empty(math.prod(header.shape), dtype=NUMPY_DTYPES[datatype])
    filled = 0
    for piece in _pieces(data):
        try:
            values = decoder.decode(piece)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        end = filled + len(values)
        if not values or end > len(array):
            return None
        array[filled:end] = _array(header, datatype, values)
        filled = end
    return array.reshape(header.shape) if filled == len(array) else None


def _pieces(text: memoryview) -> Iterator[bytes]:
    """The same list as several, cut at commas, which are between its values only."""
    start, end = 1, len(text) - 1
    while start < end:
        cut = _next_comma(text, start + PIECE_BYTES, end)
        yield b"[%b]" % bytes(text[start:cut])
        start = cut + 1


def _next_comma(text: memoryview, position: int, end: int) -> int:
    """Return where the next comma is; `end` if there is none before it."""
    while position < end:
        found = bytes(text[position : min(position + PIECE_BYTES, end)]).find(b",")
        if found >= 0:
            return position + found
        position += PIECE_BYTES
    return end


def _depth(data: memoryview, most: int) -> int:
    """Return how many brackets the data opens with, up to one more than `most`."""
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
def _plain_decoder(datatype: Datatype, depth: int) -> msgspec.json.Decoder[Any]:
    """The same for numbers that are finite, and of which none is too large for the datatype."""
    values: Any = _element_type(datatype)
    if NUMPY_DTYPES[datatype].kind == "f":
        largest = float(np.finfo(NUMPY_DTYPES[datatype]).max)
        values = Annotated[float, msgspec.Meta(ge=-largest, le=largest)]
    for _ in range(depth):
        values = list[values]
    return msgspec.json.Decoder(values)


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
        if set(map(len, level)) - {size}:
            other = next(len(part) for part in level if len(part) != size)
            where = f"in dimension {dimension}, where its shape says {size}"
            raise _bad_data(header, f"it has {other} values {where}")
        level = list(itertools.chain.from_iterable(level))
    return level


def _array(header: TensorHeader, datatype: Datatype, flat: list[Any]) -> Array:
    dtype = NUMPY_DTYPES[datatype]
    if datatype is Datatype.BYTES:
        return np.fromiter(flat, dtype, len(flat))
    try:
        with np.errstate(over="raise"):
            if datatype is Datatype.FP32:
                return array_of(flat, np.dtype(np.float64)).astype(dtype)
            return array_of(flat, dtype)
    except (OverflowError, FloatingPointError):
        raise _bad_data(header, f"a value is too large for {datatype}") from None


class Described(Protocol):
    """Something with a tensor's name and datatype."""

    @property
    def name(self) -> str:
        """The tensor's name."""

    @property
    def datatype(self) -> Datatype:
        """The tensor's datatype."""


def check_json(spec: Described) -> None:
    """Refuse an output that has no JSON form. Raises InvalidArgument (DATATYPE_NOT_IN_JSON)."""
    if spec.datatype in _BINARY_ONLY:
        raise _binary_only("output", spec.name, spec.datatype)


def tensor_to_json(spec: Described, array: Array, limit: AnswerLimit = NO_LIMIT) -> bytes:
    """The JSON text of an output's values, a flat list.

    Numbers have the fewest digits that say which value of their datatype they are. Raises InvalidArgument
    for values that have no JSON, and ResourceExhausted (ANSWER_TOO_LARGE) as soon as the text is known to
    be over the limit.
    """
    check_json(spec)
    flat: Array = np.ascontiguousarray(array).reshape(-1)
    if flat.size <= PIECE_VALUES and spec.datatype is not Datatype.BYTES:
        text = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
        if b"n" not in text:  # null stands for numbers that are not finite
            limit.check(len(text))
            return text
    limit.check(len(SHORTEST_VALUE) * flat.size)
    pieces: list[bytes] = []
    size = 0
    for at in range(0, len(flat), PIECE_VALUES):
        piece = flat[at : at + PIECE_VALUES]
        text = _texts(spec, piece) if spec.datatype is Datatype.BYTES else _numbers(piece)
        pieces.append(text[1:-1])
        size += len(pieces[-1])
        limit.check(size)
    return b"[%b]" % b",".join(pieces)


def _numbers(flat: Array) -> bytes:
    """orjson reads the array's memory: no object for each value, and half the text for FP32."""
    if flat.dtype.kind != "f" or np.isfinite(flat).all():
        return orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
    values: list[Any] = flat.tolist()
    for index in np.flatnonzero(~np.isfinite(flat)):
        values[index] = _non_finite(values[index])
    return msgspec.json.encode(values)


def _non_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _texts(spec: Described, flat: Array) -> bytes:
    elements = flat.tolist()
    try:
        return orjson.dumps(elements)
    except TypeError:  # bytes, of which classes are made
        return orjson.dumps([_text(spec, element) for element in elements])


def _text(spec: Described, element: bytes | str) -> str:
    if isinstance(element, str):
        return element
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            "OUTPUT_NOT_UTF8",
            f"an element of output '{spec.name}' is not UTF-8 text ({error.reason}), which JSON cannot "
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
