"""Requests whose decoding takes long: which they are, and how they are parsed without holding others up.

The threads that receive requests decode what takes microseconds and leave the rest to another thread. That
thread shares the interpreter with them, so it works in pieces and sleeps between two. protobuf would not:
typed contents are cut out of a request before it parses, and decoded where they lie.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from headrace import bytes_elements
from headrace.datatypes import Datatype
from headrace_inference.wire.codec.protobuf_fields import Range, read_field, read_varint, varint
from headrace_inference.wire.codec.request_parser import (
    MAX_FIELDS,
    RAW,
    ParsedMessage,
    RequestParser,
    too_many_fields,
)
from headrace_inference.wire.codec.typed_contents import LazyTypedContents

LONG_TEXT_BYTES = 16_384
"""Names, parameters and typed contents over this take a millisecond and more."""

MOST_READING_NS = 50_000
"""A thread that receives requests reads no texts that are expected to take longer."""

_ONE_BY_ONE_NS, _COPIED_NS = 420, 0.2
"""For a text that is read by itself after a try to read all at once, and for each of its bytes."""

LONG_COPY_BYTES = 2**20
"""Copying this much takes some 0.1 ms; that is what reading shared memory is."""

_ZEROS_IN_LENGTH = 3  # of a text of up to 255 bytes that is not empty
_QUICK_FIELDS = 256
_LONG_INPUT_BYTES = 1024
_INPUT_TAG = b"\x2a"
_CONTENTS_TAG = 0x2A  # of an input: the same number, in another message


def is_slow_to_parse(payload: bytes) -> bool:
    """Tell whether to leave a request to `parse_large`. Raises InvalidArgument where it is none."""
    if len(payload) <= LONG_TEXT_BYTES:
        return False
    position = raw_bytes = 0
    for _ in range(_QUICK_FIELDS):
        if position == len(payload):
            return len(payload) - raw_bytes > LONG_TEXT_BYTES
        tag, position = read_varint(payload, position, len(payload))
        start, position = read_field(payload, position, tag & 7, len(payload))
        if tag >> 3 == RAW:
            raw_bytes += position - start
    return True


def decoding_takes_long(parsed: ParsedMessage) -> bool:
    """Tell whether to have the contents of a parsed request decoded by another thread."""
    head = parsed.header
    if head.window_bytes > LONG_COPY_BYTES:
        return True
    if head.typed and any(isinstance(part, LazyTypedContents) for part in head.contents):
        return True
    if not any(header.datatype == Datatype.BYTES for header in head.inputs):
        return False
    return _reading_ns(parsed) > MOST_READING_NS


def _reading_ns(parsed: ParsedMessage) -> float:
    """Return how long a request's texts are expected to take; what is in shared memory is not looked at."""
    head = parsed.header
    expected, stretches = 0.0, iter(parsed.raw)
    for header, window in zip(head.inputs, head.windows, strict=True):
        stretch = next(stretches, (0, 0)) if window is None else None
        if header.datatype != Datatype.BYTES:
            continue
        count = math.prod(header.shape)
        if window is not None:
            expected += _one_by_one_ns(window.byte_size, count)
        elif stretch is not None:
            expected += texts_reading_ns(memoryview(parsed.payload)[slice(*stretch)], count)
    return expected


class _Costs(NamedTuple):
    """Nanoseconds where all texts are read at once: to begin, for a text of ASCII, another one, a byte."""

    begun: int
    ascii: int
    other: int
    byte: float


_BY_NUMPY, _COMPILED = _Costs(10_000, 20, 40, 0.8), _Costs(1500, 25, 60, 0.2)


def texts_reading_ns(raw: memoryview, count: int) -> float:
    """Return how long so many texts are expected to take: more where they are not like most texts."""
    size = len(raw)
    is_compiled = bytes_elements.compiled is not None
    costs = _COMPILED if is_compiled else _BY_NUMPY
    one_by_one = _one_by_one_ns(size, count)
    at_once = costs.begun + costs.ascii * count + costs.byte * size
    if one_by_one < at_once or at_once > MOST_READING_NS:
        return one_by_one
    if not is_compiled:
        zeros = size - np.count_nonzero(np.frombuffer(raw, np.uint8))
        if zeros != _ZEROS_IN_LENGTH * count:
            return one_by_one
    return at_once if bytes(raw).isascii() else at_once + (costs.other - costs.ascii) * count


def _one_by_one_ns(size: int, count: int) -> float:
    return _ONE_BY_ONE_NS * min(max(0, count), size // 4) + _COPIED_NS * size


def parse_large(payload: bytes) -> ParsedMessage:
    """The request in these bytes; its typed contents stay where they are. Raises InvalidArgument."""
    rest, typed = _cut_typed(payload)
    parsed = RequestParser().parse(rest)
    if not typed:
        return parsed
    contents = tuple(typed.get(place, part) for place, part in enumerate(parsed.header.contents))
    head = replace(parsed.header, contents=contents, typed=True)
    return ParsedMessage(rest, head, parsed.id, parsed.raw, None)


def size_of(parsed: ParsedMessage) -> int:
    """The bytes that a request has in its message and in shared memory."""
    head = parsed.header
    if head.typed:
        for part in head.contents:
            if isinstance(part, LazyTypedContents):
                return len(part.payload) + head.window_bytes
    return len(parsed.payload) + head.window_bytes


def _cut_typed(payload: bytes) -> tuple[bytes, dict[int, LazyTypedContents]]:
    """A request without the typed contents of its longer inputs, and those, by the inputs' places."""
    kept: list[bytes] = []
    typed: dict[int, LazyTypedContents] = {}
    position = kept_from = place = fields = 0
    while position < len(payload):
        fields += 1
        if fields > MAX_FIELDS:
            raise too_many_fields()
        field_start = position
        tag, position = read_varint(payload, position, len(payload))
        start, position = read_field(payload, position, tag & 7, len(payload))
        if tag != _INPUT_TAG[0]:
            continue
        if position - start > _LONG_INPUT_BYTES:
            rest, contents = _cut_contents(payload, start, position)
            kept += (payload[kept_from:field_start], _INPUT_TAG, varint(len(rest)), rest)
            kept_from = position
            typed |= {place: LazyTypedContents(payload, contents)} if contents else {}
        place += 1
    return b"".join((*kept, payload[kept_from:])), typed


def _cut_contents(payload: bytes, start: int, end: int) -> tuple[bytes, list[Range]]:
    """An input without its contents, and where those are: merged from several ranges if there are."""
    kept: list[bytes] = []
    contents: list[Range] = []
    position = kept_from = start
    while position < end:
        field_start = position
        tag, position = read_varint(payload, position, end)
        value_start, position = read_field(payload, position, tag & 7, end)
        if tag == _CONTENTS_TAG:
            kept.append(payload[kept_from:field_start])
            contents.append((value_start, position))
            kept_from = position
    return b"".join((*kept, payload[kept_from:end])), contents
