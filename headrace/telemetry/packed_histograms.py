"""Histograms as two strings of bytes: the indexes of the buckets that are not empty, and their counts.

Indexes are two bytes each, counts 1, 2, 4 or 8, as the fullest needs; all little-endian. Many of them are
read and added up in one step of numpy.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from headrace.telemetry.histogram import BUCKET_COUNT, MAX_COUNT, Counts, Histogram

INDEX_BYTES = 2
WIDTHS: Final = (1, 2, 4, 8)
"""The bytes of a count."""

COUNT_TYPES = {width: np.dtype(f"<u{width}") for width in WIDTHS}
_INDEX_TYPE = np.dtype(f"<u{INDEX_BYTES}")


def pack(histogram: Histogram) -> tuple[bytes, bytes]:
    """Indexes and counts of a histogram's buckets."""
    indexes, counts = histogram.used()
    return indexes.astype(_INDEX_TYPE).tobytes(), pack_counts(counts)


def pack_counts(counts: Counts) -> bytes:
    """Counts, each from 0 to MAX_COUNT, in as few bytes as the largest needs."""
    return counts.astype(COUNT_TYPES[width_of(counts)]).tobytes()


def width_of(counts: Counts) -> int:
    """The bytes that the largest needs."""
    most = int(counts.max(initial=0))
    return next(width for width in WIDTHS if most < 1 << 8 * width)


def width_in(buckets: bytes, counts: bytes) -> int:
    """The bytes of a count where there is one for each bucket, and no bucket too many; 0 where not."""
    length, odd = divmod(len(buckets), INDEX_BYTES)
    if odd or length > BUCKET_COUNT:
        return 0
    if not length:
        return 0 if counts else 1
    width, odd = divmod(len(counts), length)
    return 0 if odd or width not in WIDTHS else width


def unpack(buckets: bytes, counts: bytes, sum_ns: int) -> Histogram:
    """The histogram of these buckets, whose `width_in` is not 0; indexes out of range count as the last."""
    sums = np.bincount(indexes_of(buckets), counts_of(buckets, counts), BUCKET_COUNT)
    return Histogram.of_all_buckets(np.minimum(sums, MAX_COUNT).astype(np.int64), sum_ns)


def indexes_of(buckets: bytes) -> npt.NDArray[np.uint16]:
    """Read indexes, none beyond the last bucket."""
    indexes: npt.NDArray[np.uint16] = np.frombuffer(buckets, _INDEX_TYPE)
    return np.minimum(indexes, np.uint16(BUCKET_COUNT - 1))


def counts_of(buckets: bytes, counts: bytes) -> npt.NDArray[np.unsignedinteger]:
    """Read the counts of these buckets."""
    return np.frombuffer(counts, COUNT_TYPES[width_in(buckets, counts)])
