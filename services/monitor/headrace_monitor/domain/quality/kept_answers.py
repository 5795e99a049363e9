"""Answers that labels may still join: a ring of blocks, of which the oldest goes for the newest.

An answer takes 63 bytes in the ring and some 110 in the table that finds it by its key, a hash of model,
version, id and row.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK_ROWS = 128
"""Stored together: an answer or a label that comes writes its block anew, at most 8.1 kB."""

ROW = np.dtype(
    [
        ("key", "<u8"),
        ("version", "<u4"),
        ("slices", "<u4"),
        ("time_ms", "<i8"),
        ("content", "<f8"),
        ("truth", "<f8"),
        ("told_ms", "<i8"),
        ("bin", "<i4"),
        ("positive", "<i8"),
        ("flags", "<u1"),
        ("spare", "<u2"),
    ]
)
"""`content` and `truth` are numbers, or the numbers of classes; `positive` is that of a class, or -1."""

IS_NUMBER, HAS_TRUTH = 1, 2

_HEAD = struct.Struct("<QQ")
"""In front of a stored block: its generation, and the steady time of its newest answer."""


def key_of(model: str, version: int, request_id: str, row: int) -> int:
    """The key of an answer; version 0 for those of all versions."""
    text = f"{version}\0{row}\0{model}\0{request_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


class KeptAnswers:
    """The newest answers; `changed` are blocks that differ from what is stored, `gone` generations
    of those that are kept no more."""

    def __init__(self, most: int) -> None:
        self._blocks = max(2, -(-most // BLOCK_ROWS))
        self.rows: npt.NDArray[Any] = np.zeros(self._blocks * BLOCK_ROWS, ROW)
        self._used = np.zeros(self._blocks, np.int64)
        self._generations = np.zeros(self._blocks, np.uint64)
        self._steady_ns = np.zeros(self._blocks, np.int64)
        self._places: dict[int, int] = {}
        self._block = 0
        self._generation = 1
        self._generations[0] = 1
        self.changed: set[int] = set()
        self.gone: set[int] = set()

    def __len__(self) -> int:
        return len(self._places)

    def find(self, key: int) -> int | None:
        """The place of an answer; None where it is not kept."""
        return self._places.get(key)

    def add(self, row: tuple[Any, ...], steady_ns: int) -> int:
        """Keep an answer, whose key none has that is kept."""
        if self._used[self._block] == BLOCK_ROWS:
            self._begin_block()
        place = int(self._block * BLOCK_ROWS + self._used[self._block])
        self.rows[place] = row
        self._used[self._block] += 1
        self._steady_ns[self._block] = steady_ns
        self._places[row[0]] = place
        self.changed.add(self._block)
        return place

    def touch(self, place: int) -> None:
        """An answer was changed in its place."""
        self.changed.add(place // BLOCK_ROWS)

    def _begin_block(self) -> None:
        self._block = (self._block + 1) % self._blocks
        self._generation += 1
        self._drop(self._block)
        self._generations[self._block] = self._generation

    def drop_before(self, steady_ns: int) -> None:
        """Drop the blocks whose newest answer is older."""
        for block in np.flatnonzero((self._used > 0) & (self._steady_ns < steady_ns)).tolist():
            self._drop(block)

    def _drop(self, block: int) -> None:
        start = block * BLOCK_ROWS
        for key in self.rows["key"][start : start + int(self._used[block])].tolist():
            if self._places.get(key, -1) // BLOCK_ROWS == block:
                del self._places[key]
        if self._used[block]:
            self.gone.add(int(self._generations[block]))
            self.changed.discard(block)
        self._used[block] = 0

    def changed_blocks(self) -> Iterator[tuple[int, bytes]]:
        """The generation of each block that differs from what is stored, and the block as it is stored."""
        for block in self.changed:
            start, generation = block * BLOCK_ROWS, int(self._generations[block])
            rows = self.rows[start : start + int(self._used[block])].tobytes()
            yield generation, _HEAD.pack(generation, int(self._steady_ns[block])) + rows

    def mark_stored(self) -> None:
        """All that changed or is gone is stored."""
        self.changed.clear()
        self.gone.clear()

    def restore(self, blocks: Iterable[bytes]) -> None:
        """Take up stored blocks, the newest last, as far as there is room."""
        stored = sorted(blocks, key=lambda data: int(_HEAD.unpack_from(data)[0]))
        self.gone.update(_HEAD.unpack_from(data)[0] for data in stored[: -self._blocks])
        for place, data in enumerate(stored[-self._blocks :]):
            generation, steady_ns = _HEAD.unpack_from(data)
            rows = np.frombuffer(data, ROW, offset=_HEAD.size)
            start = place * BLOCK_ROWS
            self.rows[start : start + len(rows)] = rows
            self._used[place], self._steady_ns[place] = len(rows), steady_ns
            self._generations[place], self._block, self._generation = generation, place, generation
            for offset, key in enumerate(rows["key"].tolist()):
                self._places[key] = start + offset
