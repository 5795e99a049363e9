"""Reads tallies as the monitors of version 0.1 stored them, to encode them anew.

Their ten measures had places instead of names, and no number told the format.
"""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np

from headrace_monitor.domain.telemetry import second_encoding

_HEADER = struct.Struct("<IH")
_HISTOGRAMS = ("t", "q", "c", "f")
_COUNTERS = ("s", "r", "x")
_COUNTS = ("e", "o", "b")


def encode_anew(encoded: bytes) -> bytes:
    """Encode a tally of the first format in the present one. Raises ValueError where it is damaged."""
    if len(encoded) < _HEADER.size or zlib.crc32(encoded[4:]) != _HEADER.unpack_from(encoded)[0]:
        raise ValueError("a tally's checksum does not match")
    _, length = _HEADER.unpack_from(encoded)
    middle = _HEADER.size + 2 * length
    end = middle + 8 * length
    counters, sums_ns, counts = json.loads(encoded[end:])
    # all histograms, though some may be empty: the indexes of buckets stay the same then
    sums = dict.fromkeys(_HISTOGRAMS, 0) | dict(zip(_HISTOGRAMS, sums_ns, strict=False))
    values: dict[str, object] = {
        name: value for name, value in zip(_COUNTERS, counters, strict=True) if value
    }
    values |= {name: value for name, value in zip(_COUNTS, counts, strict=True) if value}
    values |= {name: [sum_ns] for name, sum_ns in sums.items()}
    indexes = np.frombuffer(encoded[_HEADER.size : middle], dtype="<u2").astype(np.int64)
    counts = np.frombuffer(encoded[middle:end], dtype="<u8")
    return second_encoding.anew(indexes, counts, values)
