"""Tallies as some hundred bytes instead of some kilobytes, and the sum of many of them in one go.

An encoded tally is what windows hold in memory and what the store writes:

    checksum, format, bytes of a count, bytes of an index, number of buckets
    | bucket indexes | bucket counts | values as JSON

The checksum tells damaged bytes from good ones. The JSON has all values that are not zero by the keys of
their measures, `{"c:row_count": 3, "h:total": [sum of nanoseconds]}`; a histogram's place among the
histograms there is the place of its buckets: bucket i of the n-th has the index n * BUCKET_COUNT + i. So
measures that this code does not know keep their values, and thousands of tallies add up in a few vectorised
steps.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from headrace import packed_histograms
from headrace.histogram import BUCKET_COUNT, MAX_COUNT, MAX_SUM_NS, NO_COUNTS, Counts, Histogram
from headrace.measures import Kind, Value, kind_of
from headrace.packed_histograms import COUNT_TYPES
from headrace_monitor.domain.telemetry.tally import Tally, saturated

FORMAT = 3
"""In every encoded tally. The second had coarser buckets; the first, of ten measures by position, had
no such number."""

_ABBREVIATIONS = {
    "c:success_count": "s",
    "c:row_count": "r",
    "c:execution_count": "x",
    "l:error_counts": "e",
    "l:route_counts": "o",
    "s:batch_counts": "b",
    "h:total": "t",
    "h:queue": "q",
    "h:compute": "c",
    "h:failed": "f",
    "c:row_capacity": "a",
}
"""The keys of the measures that nearly every tally has. A part of the format: measures that come later are
written by their whole keys, so that a monitor that does not know them can keep them."""

_KEYS = {short: key for key, short in _ABBREVIATIONS.items()}

CHECKSUM = struct.Struct("<I")
_HEADER = struct.Struct("<IBBBI")


def encode(tally: Tally) -> bytes:
    """Encode a tally."""
    values: dict[str, object] = {}
    indexes: list[Counts] = []
    counts: list[Counts] = []
    for key, value in tally.items():
        short = _ABBREVIATIONS.get(key, key)
        if isinstance(value, Histogram):
            places, found = value.used()
            indexes.append(places + BUCKET_COUNT * len(indexes))
            counts.append(found)
            values[short] = [value.sum_ns]  # JSON: a sum over years outgrows 64 bits
        else:
            values[short] = value
    if not counts:
        return assemble(NO_COUNTS, NO_COUNTS, values)
    return assemble(np.concatenate(indexes), np.concatenate(counts), values)


def assemble(indexes: Counts, counts: Counts, values: Mapping[str, object]) -> bytes:
    """Put an encoded tally together: indexes and counts of its buckets, and its values by their keys."""
    width = packed_histograms.width_of(counts)
    index_width = max(packed_histograms.width_of(indexes), packed_histograms.INDEX_BYTES)
    body = b"".join(
        (
            _HEADER.pack(0, FORMAT, width, index_width, len(counts))[CHECKSUM.size :],
            indexes.astype(COUNT_TYPES[index_width]).tobytes(),
            counts.astype(COUNT_TYPES[width]).tobytes(),
            json.dumps(values, separators=(",", ":")).encode(),
        )
    )
    return CHECKSUM.pack(zlib.crc32(body)) + body


def decode(encoded: bytes) -> Tally:
    """Decode one tally."""
    return decode_sum((encoded,))


def decode_sum(cells: Iterable[bytes]) -> Tally:
    """Decode the sum of all these tallies."""
    values, buckets = _ValueSums(), _BucketSums()
    for encoded in cells:
        _, _, width, index_width, length = _HEADER.unpack_from(encoded)
        middle = _HEADER.size + length * index_width
        end = middle + length * width
        layout = values.add(json.loads(encoded[end:]))
        if length:
            indexes, counts = buckets.parts[layout, width, index_width]
            indexes.append(encoded[_HEADER.size : middle])
            counts.append(encoded[middle:end])
    return values.tally(buckets.counts())


def is_intact(encoded: bytes) -> bool:
    """Check that these are the bytes that `encode` gave."""
    if len(encoded) < _HEADER.size or encoded[CHECKSUM.size] != FORMAT:
        return False
    return bool(CHECKSUM.unpack_from(encoded)[0] == zlib.crc32(encoded[CHECKSUM.size :]))


Layout = tuple[str, ...]
"""The histograms of a tally, in their order."""


class _ValueSums:
    """Adds up everything but buckets."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sums_ns: dict[str, int] = {}
        self._by_key: dict[str, dict[str, int]] = defaultdict(dict)

    def add(self, values: Mapping[str, int | list[int] | dict[str, int]]) -> Layout:
        """Add a tally's values, and give the order of its histograms."""
        histograms: list[str] = []
        for key, value in values.items():
            if isinstance(value, int):
                self._counts[key] = self._counts.get(key, 0) + value
            elif isinstance(value, list):
                histograms.append(key)
                self._sums_ns[key] = self._sums_ns.get(key, 0) + value[0]
            else:
                counts = self._by_key[key]
                for each, count in value.items():
                    counts[each] = counts.get(each, 0) + count
        return tuple(histograms)

    def tally(self, buckets: Mapping[str, npt.NDArray[np.int64]]) -> Tally:
        """Make a tally of all values, and of these buckets of the histograms."""
        found: dict[str, Value] = {
            _KEYS.get(key, key): saturated(count) for key, count in self._counts.items()
        }
        for short, by_key in self._by_key.items():
            key = _KEYS.get(short, short)
            found[key] = _counts(kind_of(key), by_key)
        for short, sum_ns in self._sums_ns.items():
            counts = buckets.get(short)
            if sum_ns or (counts is not None and counts.any()):
                found[_KEYS.get(short, short)] = _histogram(counts, sum_ns)
        return Tally.by_key(found)


class _BucketSums:
    """Adds up the buckets of many histograms: those of all tallies of the same form in one step."""

    def __init__(self) -> None:
        self.parts: dict[tuple[Layout, int, int], tuple[list[bytes], list[bytes]]] = defaultdict(
            lambda: ([], [])
        )
        """By the order of the histograms and the bytes of a count and of an index: indexes and counts."""

    def counts(self) -> dict[str, npt.NDArray[np.int64]]:
        """Sum up, by histogram."""
        found: dict[str, npt.NDArray[np.int64]] = {}
        for (layout, width, index_width), (indexes, counts) in self.parts.items():
            # added up as floats, which do not wrap and are exact up to MAX_COUNT
            sums = np.bincount(
                np.frombuffer(b"".join(indexes), dtype=COUNT_TYPES[index_width]),
                np.frombuffer(b"".join(counts), dtype=COUNT_TYPES[width]),
                len(layout) * BUCKET_COUNT,
            )
            dense = np.minimum(sums, MAX_COUNT).astype(np.int64).reshape(-1, BUCKET_COUNT)
            for key, part in zip(layout, dense, strict=True):
                found[key] = np.minimum(found[key] + part, MAX_COUNT) if key in found else part
        return found


def _counts(kind: Kind, counts: Mapping[str, int]) -> Mapping[str, int] | Mapping[int, int]:
    if kind is Kind.SIZES:
        return {int(size): saturated(count) for size, count in counts.items()}
    return {label: saturated(count) for label, count in counts.items()}


def _histogram(counts: Counts | None, sum_ns: int) -> Histogram:
    sum_ns = min(sum_ns, MAX_SUM_NS)
    return Histogram(sum_ns=sum_ns) if counts is None else Histogram.of_all_buckets(counts, sum_ns)
