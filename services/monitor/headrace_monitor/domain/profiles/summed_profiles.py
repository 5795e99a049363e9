"""Sums of profiles in the bins of one layout, as few bytes as may be."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.profiles import Counts
from headrace_monitor.domain.profiles.layout_index import Filled

_HEAD = struct.Struct("<QQQI")
MAX_ROWS = 2**62

Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Profiles of some time, added up exactly. It does not change: more make a new one."""

    rows: int
    seen_rows: int
    opened_steady_ns: int
    """When the first of them came, by the time in which the monitor ran."""
    filled: Filled

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        return 400 + self.filled.places.nbytes + self.filled.counts.nbytes

    def plus(self, other: Sum) -> Sum:
        """Add another one in the same bins."""
        return total([self, other])


def total(sums: Iterable[Sum]) -> Sum:
    """The sum of one or more."""
    those = list(sums)
    if len(those) == 1:
        return those[0]
    places = np.concatenate([one.filled.places for one in those])
    counts = np.concatenate([one.filled.counts for one in those])
    return Sum(
        min(MAX_ROWS, sum(one.rows for one in those)),
        min(MAX_ROWS, sum(one.seen_rows for one in those)),
        min(one.opened_steady_ns for one in those),
        _added(places, counts),
    )


def _added(places: Places, counts: Counts) -> Filled:
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    if not len(ordered):
        return Filled(places, counts)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1])
    return Filled(ordered[starts], np.add.reduceat(counts[order], starts))


def to_bytes(one: Sum) -> bytes:
    """The bytes that are stored of it."""
    counts = one.filled.counts
    width = next(w for w in (1, 2, 4, 8) if not len(counts) or int(counts.max()) < 2 ** (8 * w - 1))
    steps = np.diff(one.filled.places, prepend=np.int32(0)).astype("<i4")
    body = bytes([width]) + steps.tobytes() + counts.astype(f"<i{width}").tobytes()
    head = _HEAD.pack(one.rows, one.seen_rows, one.opened_steady_ns, len(counts))
    return head + zlib.compress(body, 1)


def from_bytes(data: bytes) -> Sum:
    """The sum of its bytes. Raises ValueError, struct.error or zlib.error for any other."""
    rows, seen, opened, count = _HEAD.unpack_from(data)
    body = zlib.decompress(data[_HEAD.size :])
    steps = np.frombuffer(body, "<i4", count, 1)
    counts = np.frombuffer(body, f"<i{body[0]}", count, 1 + steps.nbytes)
    places = np.cumsum(steps, dtype=np.int32)
    return Sum(rows, seen, opened, Filled(places, counts.astype(np.int64)))
