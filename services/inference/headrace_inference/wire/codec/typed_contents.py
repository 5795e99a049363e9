"""Many values decoded in pieces, so that other threads have the interpreter between; typed ones in place.

protobuf would make an object of each value, and hold the interpreter meanwhile. Values of a fixed size need
no decoding at all: packed, they are the tensor.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from google.protobuf.message import DecodeError

from headrace.datatypes import decode_bytes_elements
from headrace.errors import InvalidArgument
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.wire.codec.packed_values import (
    GIL_YIELD_SECONDS,
    fixed_size_values,
    varint_values,
)
from headrace_inference.wire.codec.protobuf_fields import (
    LENGTH_DELIMITED,
    Range,
    malformed,
    read_field,
    read_varint,
)

Values = Sequence[bytes] | Sequence[float] | Array
"""The values of a field: texts, or numbers of any kind."""

PIECE_ELEMENTS = 4096
"""A piece keeps the interpreter for some 0.5 ms."""

_DTYPES = {
    "bool_contents": np.dtype(np.bool_),
    "int_contents": np.dtype(np.int32),
    "int64_contents": np.dtype(np.int64),
    "uint_contents": np.dtype(np.uint32),
    "uint64_contents": np.dtype(np.uint64),
    "fp32_contents": np.dtype("<f4"),
    "fp64_contents": np.dtype("<f8"),
}
_FIXED_SIZE = {"fp32_contents", "fp64_contents"}
_NUMBERS = {name: f.number for name, f in pb.InferTensorContents.DESCRIPTOR.fields_by_name.items()}
_BYTES_TAG = _NUMBERS["bytes_contents"] << 3 | LENGTH_DELIMITED
_MAX_PACKED_FIELDS = 1024


def in_chunks(count: int, size: int = PIECE_ELEMENTS) -> Iterator[slice]:
    """Slices that make up `count` elements; between two, other threads have their turn."""
    for start in range(0, count, size):
        if start:
            time.sleep(GIL_YIELD_SECONDS)
        yield slice(start, start + size)


def bytes_elements(raw: bytes | memoryview, expected: int) -> list[bytes]:
    """`decode_bytes_elements`, in pieces. Raises InvalidArgument (BYTES_TRUNCATED)."""
    if expected <= PIECE_ELEMENTS:
        return decode_bytes_elements(raw, expected)
    elements: list[bytes] = []
    rest = memoryview(raw)
    while rest and len(elements) <= expected:
        time.sleep(GIL_YIELD_SECONDS)
        try:
            piece = decode_bytes_elements(rest, min(PIECE_ELEMENTS, expected - len(elements)))
        except InvalidArgument:
            return decode_bytes_elements(raw, expected)  # whose error says where
        elements += piece
        rest = rest[4 * len(piece) + sum(map(len, piece)) :]
    return elements


@dataclass(frozen=True, slots=True)
class LazyTypedContents:
    """An input's InferTensorContents: the ranges of a payload that it is to be merged from."""

    payload: bytes
    ranges: Sequence[Range]

    def values(self, name: str) -> Values:
        """Return what a field has. Raises InvalidArgument (MALFORMED_REQUEST)."""
        if name not in _DTYPES:
            return self._elements()
        packed = self._packed(_NUMBERS[name])
        if packed is None:
            return _in_pieces_of(self._merged(name), _DTYPES[name])
        decode = fixed_size_values if name in _FIXED_SIZE else varint_values
        parts = [decode(self.payload, *one, _DTYPES[name]) for one in packed]
        return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0)])

    def filled(self) -> list[str]:
        """The fields that have values, in the message's order. Raises InvalidArgument."""
        numbers = {tag >> 3 for tag, start, end in self._fields() if end > start}
        return [name for name, number in _NUMBERS.items() if number in numbers]

    def _fields(self) -> Iterator[tuple[int, int, int]]:
        """The tag of each field and where its value is, with rests; texts in pieces, with their tags.

        Raises InvalidArgument.
        """
        payload = self.payload
        for position, end in self.ranges:
            read = 0
            while position < end:
                read += 1
                if read % PIECE_ELEMENTS == 0:
                    time.sleep(GIL_YIELD_SECONDS)
                begin = position
                if payload[begin] == _BYTES_TAG:
                    position = _end_of_texts(payload, begin, end)
                    yield _BYTES_TAG, begin, position
                    time.sleep(GIL_YIELD_SECONDS)
                    continue
                tag, position = read_varint(payload, position, end)
                start, position = read_field(payload, position, tag & 7, end)
                yield tag, begin if tag == _BYTES_TAG else start, position

    def _elements(self) -> list[bytes]:
        elements: list[bytes] = []
        for tag, start, end in self._fields():
            if tag == _BYTES_TAG:
                piece = _parsed(self.payload[start:end], "bytes_contents")
                elements.extend(cast("Sequence[bytes]", piece))
        return elements

    def _packed(self, number: int) -> list[Range] | None:
        """Return where the values of a field are; None where a caller did not pack them."""
        packed: list[Range] = []
        for fields, (tag, start, end) in enumerate(self._fields(), 1):
            if tag >> 3 == number:
                packed.append((start, end))
                if tag & 7 != LENGTH_DELIMITED:
                    return None
            if fields > _MAX_PACKED_FIELDS:
                return None
        return packed

    def _merged(self, name: str) -> Values:
        merged = b"".join([self.payload[start:end] for start, end in self.ranges])
        return _parsed(merged, name)


TypedContents = pb.InferTensorContents | LazyTypedContents
"""Values of an input that are not raw, read already or where they lie."""


def _end_of_texts(payload: bytes, position: int, end: int) -> int:
    """Return where texts end that follow one another, or a piece of them; most sizes take one byte."""
    for _ in range(PIECE_ELEMENTS):
        if position >= end or payload[position] != _BYTES_TAG:
            break
        position += 1
        if position < end and payload[position] < 0x80:
            position += 1 + payload[position]
        else:
            _, position = read_field(payload, position, LENGTH_DELIMITED, end)
    if position > end:
        raise malformed()
    return position


def _in_pieces_of(values: Values, dtype: np.dtype[Any]) -> Array:
    parts = [np.array(values[part], dtype) for part in in_chunks(len(values))]
    return np.concatenate([np.empty(0, dtype), *parts])


def _parsed(contents: bytes, name: str) -> Values:
    try:
        values: Values = getattr(pb.InferTensorContents.FromString(contents), name)
    except DecodeError:
        raise malformed() from None
    return values
