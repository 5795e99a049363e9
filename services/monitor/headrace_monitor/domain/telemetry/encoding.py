"""Tallies as some hundred bytes instead of twelve kilobytes, and the sum of many of them in one go.

A encoded tally is what windows hold in memory and what the store writes. Its histograms lie in one
pair of arrays of the buckets that are not empty, so thousands of them add up in one vectorised step. A
checksum in front tells damaged bytes from good ones.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from headrace.histogram import BUCKET_COUNT, MAX_COUNT, MAX_SUM_NS, Histogram
from headrace_monitor.domain.telemetry.report import Tally, add_counts, saturated

_CHECKSUM = struct.Struct("<I")
_BUCKETS = struct.Struct("<H")
_START = _CHECKSUM.size + _BUCKETS.size
_INDEX_BYTES = 2
_COUNT_BYTES = 8
_HISTOGRAMS = 4


def encode(tally: Tally) -> bytes:
    """`tally` as bytes."""
    counts = np.concatenate([histogram.counts for histogram in _histograms(tally)])
    buckets = np.flatnonzero(counts)
    body = b"".join(
        (
            _BUCKETS.pack(len(buckets)),
            buckets.astype("<u2").tobytes(),
            counts[buckets].astype("<i8").tobytes(),
            _numbers_to_json(tally),
        )
    )
    return _CHECKSUM.pack(zlib.crc32(body)) + body


def decode(encoded: bytes) -> Tally:
    """The tally that was encoded."""
    return decode_sum((encoded,))


def decode_sum(cells: Iterable[bytes]) -> Tally:
    """The sum of all encoded tallies."""
    tally = Tally()
    indexes: list[bytes] = []
    counts: list[bytes] = []
    for encoded in cells:
        (length,) = _BUCKETS.unpack_from(encoded, _CHECKSUM.size)
        middle = _START + length * _INDEX_BYTES
        end = middle + length * _COUNT_BYTES
        indexes.append(encoded[_START:middle])
        counts.append(encoded[middle:end])
        _add_numbers(tally, json.loads(encoded[end:]))
    _add_buckets(tally, b"".join(indexes), b"".join(counts))
    return tally


def is_intact(encoded: bytes) -> bool:
    """Check that these are the bytes that `encode` gave."""
    if len(encoded) < _START:
        return False
    return bool(_CHECKSUM.unpack_from(encoded)[0] == zlib.crc32(encoded[_CHECKSUM.size :]))


def _numbers_to_json(tally: Tally) -> bytes:
    # JSON because a sum of nanoseconds over years outgrows 64 bits
    numbers = [
        [tally.success_count, tally.row_count, tally.execution_count],
        [histogram.sum_ns for histogram in _histograms(tally)],
        [tally.error_counts, tally.route_counts, tally.batch_counts],
    ]
    return json.dumps(numbers, separators=(",", ":")).encode()


def _add_numbers(tally: Tally, numbers: list[Any]) -> None:
    (success, rows, executions), sums, (by_reason, by_route, by_rows) = numbers
    tally.success_count = saturated(tally.success_count + success)
    tally.row_count = saturated(tally.row_count + rows)
    tally.execution_count = saturated(tally.execution_count + executions)
    # what was encoded before requests that failed were timed has no sum of theirs
    for histogram, sum_ns in zip(_histograms(tally), sums, strict=False):
        histogram.sum_ns = min(histogram.sum_ns + sum_ns, MAX_SUM_NS)
    add_counts(tally.error_counts, by_reason)
    add_counts(tally.route_counts, by_route)
    add_counts(tally.batch_counts, {int(rows): count for rows, count in by_rows.items()})


def _add_buckets(tally: Tally, indexes: bytes, counts: bytes) -> None:
    # added up as floats, which do not wrap and are exact up to MAX_COUNT
    sums = np.bincount(
        np.frombuffer(indexes, dtype="<u2"),
        weights=np.frombuffer(counts, dtype="<i8"),
        minlength=_HISTOGRAMS * BUCKET_COUNT,
    )
    dense = np.clip(sums, 0, MAX_COUNT).astype(np.int64)
    parts = dense.reshape(_HISTOGRAMS, BUCKET_COUNT)
    for histogram, part in zip(_histograms(tally), parts, strict=True):
        if part.any():
            histogram.add_counts(part)


def _histograms(tally: Tally) -> tuple[Histogram, ...]:
    return tally.total, tally.queue, tally.compute, tally.failed
