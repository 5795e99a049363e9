"""Reads tallies of the second format, whose histograms had 16 buckets an octave, to encode them anew.

Monitors of before scale 6 stored them. Names of measures and values are as in the present format.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from headrace.telemetry.histogram import BUCKET_COUNT, COARSE_BUCKET_COUNT, COARSE_PLACES
from headrace_monitor.domain.telemetry import encoding

FORMAT = 2
_CHECKSUM_BYTES = 4
_HEADER = struct.Struct("<IBBH")
_DTYPES = {width: np.dtype(f"<u{width}") for width in (1, 2, 4, 8)}


def encode_anew(encoded: bytes) -> bytes:
    """Encode a tally of the second format in the present one. Raises ValueError where it is damaged."""
    if not _is_intact(encoded):
        raise ValueError("a tally's checksum does not match")
    _, _, width, length = _HEADER.unpack_from(encoded)
    middle = _HEADER.size + 2 * length
    end = middle + length * width
    indexes = np.frombuffer(encoded[_HEADER.size : middle], "<u2").astype(np.int64)
    counts = np.frombuffer(encoded[middle:end], _DTYPES[width])
    return anew(indexes, counts, json.loads(encoded[end:]))


def anew(
    indexes: npt.NDArray[np.int64],
    counts: npt.NDArray[np.unsignedinteger],
    values: Mapping[str, object],
) -> bytes:
    """Encode buckets of scale 4, by the place of their histogram, and values by the keys of measures."""
    histograms, places = np.divmod(indexes, COARSE_BUCKET_COUNT)
    fine = histograms * BUCKET_COUNT + COARSE_PLACES[places]
    return encoding.assemble(fine, counts.astype(np.int64), values)


def _is_intact(encoded: bytes) -> bool:
    if len(encoded) < _HEADER.size or encoded[_CHECKSUM_BYTES] != FORMAT:
        return False
    return bool(_HEADER.unpack_from(encoded)[0] == zlib.crc32(encoded[_CHECKSUM_BYTES:]))
