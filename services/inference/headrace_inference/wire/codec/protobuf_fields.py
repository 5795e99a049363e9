"""The fields of a protobuf message, read in place: tags, lengths, and where values begin and end."""

from __future__ import annotations

from headrace.errors import InvalidArgument

LENGTH_DELIMITED = 2
_FIXED_SIZES = {1: 8, 5: 4}
_MAX_SHIFT = 70
"""A varint of 64 bits has ten bytes."""

Range = tuple[int, int]


def read_field(payload: bytes, position: int, wire_type: int, end: int) -> Range:
    """Return where the value behind a tag begins and ends, without its length. Raises InvalidArgument."""
    if wire_type == LENGTH_DELIMITED:
        length, position = read_varint(payload, position, end)
        value_end = position + length
    elif wire_type == 0:
        _, value_end = read_varint(payload, position, end)
    elif wire_type in _FIXED_SIZES:
        value_end = position + _FIXED_SIZES[wire_type]
    else:
        raise malformed()
    if value_end > end:
        raise malformed()
    return position, value_end


def read_varint(payload: bytes, position: int, end: int) -> Range:
    """A number, and where it ends. Raises InvalidArgument."""
    value = shift = 0
    while shift < _MAX_SHIFT:
        if position >= end:
            raise malformed()
        byte = payload[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise malformed()


def varint(value: int) -> bytes:
    """A protobuf varint."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def malformed() -> InvalidArgument:
    """Return what bytes are that are no request."""
    return InvalidArgument(
        "MALFORMED_REQUEST", "the request's bytes are not an inference.ModelInferRequest"
    )
