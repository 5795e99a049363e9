"""Tallies as some hundred bytes instead of some kilobytes, and the sum of many of them in one go.

An encoded tally is what windows hold in memory and what the store writes:

    checksum, format, bytes of a count, bytes of an index, number of buckets
    | bucket indexes | bucket counts | values as JSON

The checksum tells damaged bytes from good ones. The JSON has all values that are not zero by the keys of
their measures, `{"c:row_count": 3, "h:total": [sum of nanoseconds, number of buckets]}`; the buckets of the
histograms follow one another as the histograms do there. So measures that this code does not know keep
their values, and thousands of tallies add up in a few vectorised steps.

Indexes of two bytes are those of the buckets, as replicas send them. An index of one byte is a step from
the one before in the same histogram, and 255 with a count of 0 where the next is further away: what was
added up once is kept so, in two thirds of the bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from headrace.telemetry.histogram import (
    BUCKET_COUNT,
    MAX_COUNT,
    MAX_SUM_NS,
    NO_COUNTS,
    Counts,
    Histogram,
)
from headrace.telemetry.measures import Kind, Value, kind_of
from headrace.telemetry.packed_histograms import COUNT_TYPES, INDEX_BYTES, width_of
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
_LARGEST_STEP = 255

Values = Mapping[str, int | list[int] | dict[str, int]]
"""The values of an encoded tally, as its JSON has them."""


class PackedHistogram(NamedTuple):
    """A histogram as replicas send it, not unpacked: `counts` has `width` bytes for each of its buckets."""

    buckets: bytes
    counts: bytes
    sum_ns: int
    width: int


def short_key(key: str) -> str:
    """The key by which an encoded tally has a measure's value."""
    return _ABBREVIATIONS.get(key, key)


def long_key(short: str) -> str:
    """The key of the measure that an encoded tally has as `short`."""
    return _KEYS.get(short, short)


def encode(tally: Tally) -> bytes:
    """Encode a tally."""
    values: dict[str, object] = {}
    indexes: list[Counts] = []
    counts: list[Counts] = []
    for key, value in tally.items():
        if isinstance(value, Histogram):
            places, found = value.used()
            indexes.append(places + BUCKET_COUNT * len(indexes))
            counts.append(found)
            values[short_key(key)] = [value.sum_ns]
        else:
            values[short_key(key)] = value
    if not counts:
        return assemble(NO_COUNTS, NO_COUNTS, values)
    return assemble(np.concatenate(indexes), np.concatenate(counts), values)


def encode_packed(
    values: Mapping[str, object], histograms: Mapping[str, PackedHistogram]
) -> tuple[bytes, Values]:
    """Encode values by their short keys, and histograms as they were sent; gives all values, too."""
    width = max((each.width for each in histograms.values()), default=1)
    parts = [
        each.counts if each.width == width else _widened(each, width)
        for each in histograms.values()
    ]
    lengths = [len(each.buckets) // INDEX_BYTES for each in histograms.values()]
    sums = {
        key: [each.sum_ns, length]
        for (key, each), length in zip(histograms.items(), lengths, strict=True)
    }
    whole = {**values, **sums}
    buckets = [each.buckets for each in histograms.values()]
    encoded = _joined(width, INDEX_BYTES, sum(lengths), [*buckets, *parts], whole)
    return encoded, cast("Values", whole)


def _widened(histogram: PackedHistogram, width: int) -> bytes:
    counts = np.frombuffer(histogram.counts, COUNT_TYPES[histogram.width])
    return counts.astype(COUNT_TYPES[width]).tobytes()


def assemble(indexes: Counts, counts: Counts, values: Mapping[str, object]) -> bytes:
    """Put an encoded tally together of values by their short keys and of the buckets of all histograms.

    A histogram's value is a list of its sum; bucket i of the n-th has the index n * BUCKET_COUNT + i.
    """
    rows = indexes // BUCKET_COUNT
    steps, counts, rows = _steps(indexes - rows * BUCKET_COUNT, counts, rows)
    lengths = iter(np.bincount(rows, minlength=len(values)).tolist())
    whole = {
        key: [*value, next(lengths)] if isinstance(value, list) else value
        for key, value in values.items()
    }
    width = width_of(counts)
    parts = [steps.tobytes(), counts.astype(COUNT_TYPES[width]).tobytes()]
    return _joined(width, 1, len(counts), parts, whole)


def _steps(
    places: Counts, counts: Counts, rows: Counts
) -> tuple[npt.NDArray[np.uint8], Counts, Counts]:
    """Buckets as steps of a byte: more of them where some are too far apart, with counts and rows."""
    steps = np.diff(places, prepend=0)
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    steps[first] = places[first]
    more = np.maximum(steps - 1, 0) // _LARGEST_STEP
    if not more.any():
        return steps.astype(np.uint8), counts, rows
    at = np.arange(len(steps)) + np.cumsum(more)
    length = len(steps) + int(more.sum())
    whole = np.full(length, _LARGEST_STEP, dtype=np.uint8)
    whole[at] = steps - more * _LARGEST_STEP
    spread = np.zeros(length, dtype=np.int64)
    spread[at] = counts
    return whole, spread, np.repeat(rows, more + 1)


def _joined(
    width: int, index_width: int, length: int, parts: Sequence[bytes], values: Mapping[str, object]
) -> bytes:
    head = _HEADER.pack(0, FORMAT, width, index_width, length)[CHECKSUM.size :]
    body = b"".join((head, *parts, msgspec.json.encode(values)))
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
        layout, lengths = values.add(msgspec.json.decode(encoded[end:]))
        if length:
            group = buckets.groups[layout, width, index_width]
            group.indexes.append(encoded[_HEADER.size : middle])
            group.counts.append(encoded[middle:end])
            group.lengths += lengths
    return values.tally(buckets.counts())


def sum_of(cells: Sequence[bytes]) -> bytes:
    """The sum of encoded tallies, encoded."""
    return cells[0] if len(cells) == 1 else encode(decode_sum(cells))


def values_of(encoded: bytes) -> Values:
    """The values of an encoded tally by their short keys, without decoding its buckets."""
    _, _, width, index_width, length = _HEADER.unpack_from(encoded)
    values: Values = msgspec.json.decode(encoded[_HEADER.size + length * (width + index_width) :])
    return values


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

    def add(self, values: Values) -> tuple[Layout, list[int]]:
        """Add a tally's values, and give its histograms in their order, with the numbers of buckets."""
        histograms: list[str] = []
        lengths: list[int] = []
        for key, value in values.items():
            if isinstance(value, int):
                self._counts[key] = self._counts.get(key, 0) + value
            elif isinstance(value, list):
                histograms.append(key)
                lengths.append(value[1])
                self._sums_ns[key] = self._sums_ns.get(key, 0) + value[0]
            else:
                counts = self._by_key[key]
                for each, count in value.items():
                    counts[each] = counts.get(each, 0) + count
        return tuple(histograms), lengths

    def tally(self, buckets: Mapping[str, Counts]) -> Tally:
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


@dataclass(slots=True)
class _Group:
    """The buckets of tallies of the same form; `lengths` are those of each histogram of each tally."""

    indexes: list[bytes] = field(default_factory=list)
    counts: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def sums(self, histograms: int, width: int, index_width: int) -> npt.NDArray[np.float64]:
        """Add up, by histogram and bucket: as floats, which do not wrap and are exact up to MAX_COUNT."""
        found = np.frombuffer(b"".join(self.indexes), COUNT_TYPES[index_width])
        lengths = np.array(self.lengths)
        places = found.astype(np.int64) if index_width > 1 else _places(found, lengths)
        np.minimum(places, BUCKET_COUNT - 1, out=places)
        rows = np.arange(len(lengths)) % histograms
        places += np.repeat(rows * BUCKET_COUNT, lengths)
        counts = np.frombuffer(b"".join(self.counts), COUNT_TYPES[width])
        sums = np.bincount(places, counts.astype(np.float64), histograms * BUCKET_COUNT)
        return sums.astype(np.float64, copy=False)


def _places(steps: npt.NDArray[np.unsignedinteger], lengths: npt.NDArray[np.int64]) -> Counts:
    """The buckets to which steps lead, which begin anew in each histogram."""
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(steps, dtype=np.int64)))
    starts = np.cumsum(lengths) - lengths
    places: Counts = ends[1:] - np.repeat(ends[starts], lengths)
    return places


class _BucketSums:
    """Adds up the buckets of many histograms: those of all tallies of the same form in one step."""

    def __init__(self) -> None:
        self.groups: dict[tuple[Layout, int, int], _Group] = defaultdict(_Group)
        """By the order of the histograms, and the bytes of a count and of an index."""

    def counts(self) -> dict[str, Counts]:
        """Sum up, by histogram."""
        found: dict[str, Counts] = {}
        for (layout, width, index_width), group in self.groups.items():
            sums = group.sums(len(layout), width, index_width)
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
