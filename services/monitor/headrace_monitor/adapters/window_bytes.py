"""The cells of a window as bytes, as the store has them: each series with its encoded tally."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import Series

_PREFIX = struct.Struct("<II")
_Head = list[tuple[str, int, str, int]]
_decoder = msgspec.json.Decoder(_Head)


def pack(cells: Mapping[Series, bytes]) -> bytes:
    """Pack the cells: a checksum, the length of a head, series and lengths as JSON, and the tallies.

    The checksum is that of the head; tallies have their own.
    """
    head = msgspec.json.encode([(*series, len(encoded)) for series, encoded in cells.items()])
    return b"".join((_PREFIX.pack(zlib.crc32(head), len(head)), head, *cells.values()))


def unpack(packed: bytes) -> Iterator[tuple[Series, bytes]]:
    """Yield the cells. Raises ValueError where they are damaged."""
    if len(packed) < _PREFIX.size:
        raise ValueError("a window is cut")
    checksum, length = _PREFIX.unpack_from(packed)
    place = _PREFIX.size + length
    head = packed[_PREFIX.size : place]
    if zlib.crc32(head) != checksum:
        raise ValueError("a window's checksum does not match")
    return _cells(packed, place, _decoder.decode(head))


def _cells(
    packed: bytes, place: int, head: Iterable[tuple[str, int, str, int]]
) -> Iterator[tuple[Series, bytes]]:
    for model, version, replica, length in head:
        encoded = packed[place : place + length]
        if not encoding.is_intact(encoded):
            raise ValueError("a tally's checksum does not match")
        yield Series(model, version, replica), encoded
        place += length
