"""Packed numbers of protobuf messages as arrays: those of a fixed size in place, varints by numpy."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.wire.codec.protobuf_fields import malformed

PIECE_BYTES = 262_144
"""A piece of varints takes some 3 ms, most of which numpy does without the interpreter."""

GIL_YIELD_SECONDS = 0.00005
"""Long enough for a thread that waits for the interpreter to get it."""

_MOST_BYTES = 10
"""Of a varint of 64 bits."""

_MORE = 0x80


def fixed_size_values(payload: bytes, start: int, end: int, dtype: np.dtype[Any]) -> Array:
    """The values in this stretch of a payload. Raises InvalidArgument (MALFORMED_REQUEST)."""
    count, rest = divmod(end - start, dtype.itemsize)
    if rest:
        raise malformed()
    array = np.frombuffer(payload, dtype, count, start)
    return array if array.flags.aligned else array.copy()


def varint_values(payload: bytes, start: int, end: int, dtype: np.dtype[Any]) -> Array:
    """The same for values of changing sizes, of which a dtype takes the low bits, and bool any."""
    parts: list[Array] = []
    while start < end:
        cut = _end_of_varint(payload, min(end, start + PIECE_BYTES), end)
        if parts:
            time.sleep(GIL_YIELD_SECONDS)
        parts.append(_numbers(np.frombuffer(payload, np.uint8, cut - start, start)).astype(dtype))
        start = cut
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])


def _numbers(flat: Array) -> Array:
    """Varints, the last of which is whole, as numbers of 64 bits."""
    (ends,) = (flat < _MORE).nonzero()
    if len(ends) == len(flat):
        return flat
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    sizes = ends - starts
    if sizes.max() >= _MOST_BYTES:
        raise malformed()
    values = (flat[starts] & np.uint8(_MORE - 1)).astype(np.uint64)
    places = np.arange(len(values))
    for byte in range(1, int(sizes.max()) + 1):
        places = places[sizes[places] >= byte]
        bits = (flat[starts[places] + byte] & np.uint8(_MORE - 1)).astype(np.uint64)
        values[places] |= bits << np.uint64(7 * byte)
    return values


def _end_of_varint(payload: bytes, position: int, end: int) -> int:
    for place in range(position, min(end, position + _MOST_BYTES) + 1):
        if payload[place - 1] < _MORE:
            return place
    raise malformed()
