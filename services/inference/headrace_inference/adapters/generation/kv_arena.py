"""Holds keys and values in rows whose memory the system gives page by page, and takes back.

Every row has addresses for as many tokens as the longest sequence: kernels want rows of one length. Memory
is taken where tokens are written alone, so that a short sequence beside a long one costs what it has.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np

from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import OutOfMemory

LEAST_TOKENS = 256
"""The first room of a row, in tokens; it doubles."""

_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
_DONTNEED = getattr(mmap, "MADV_DONTNEED", None)
_NOHUGEPAGE = getattr(mmap, "MADV_NOHUGEPAGE", None)


def granule_tokens(head_size: int, item_bytes: int) -> int:
    """Return how many tokens of a head fill a page, at least: a power of two."""
    tokens = 1
    while tokens * head_size * item_bytes < mmap.PAGESIZE:
        tokens *= 2
    return tokens


class KvArena:
    """The keys and values of all layers: for each a tensor [rows, heads, tokens, size]."""

    def __init__(
        self,
        tensors: int,
        rows: int,
        heads: int,
        size: int,
        dtype: np.dtype[np.generic],
        most_tokens: int,
    ) -> None:
        self._count = tensors
        self.rows = rows
        self.heads = heads
        self.size = size
        self.dtype = dtype
        self._granule = granule_tokens(size, dtype.itemsize)
        self._most_tokens = -(-most_tokens // self._granule) * self._granule
        self._maps: list[mmap.mmap | None] = []
        self.tensors: list[Array] = []
        self.tokens = 0
        self.changes = 0
        """Counts what happened to rows, but for a token that was added to each of the first ones."""

    def grow(self, tokens: int, lengths: Sequence[int]) -> None:
        """Give each row room for so many tokens, at least. Raises OutOfMemory."""
        self.changes += 1
        room = max(self.tokens, self._granule, min(LEAST_TOKENS, self._most_tokens))
        while room < tokens:
            room *= 2
        room = max(min(room, self._most_tokens), tokens)
        if not self.tensors:
            self._allocate(room)
        elif room > self.tokens:
            self._move_to(room, lengths)
        self.tokens = room

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a row to another."""
        self.changes += 1
        for tensor in self.tensors:
            tensor[target, :, :tokens] = tensor[source, :, :tokens]

    def move(self, source: int, target: int, tokens: int) -> None:
        """The same, and give the memory back tensor by tensor: no more than one is held twice."""
        self.changes += 1
        for place, tensor in enumerate(self.tensors):
            tensor[target, :, :tokens] = tensor[source, :, :tokens]
            self._free(place, source)

    def free(self, row: int) -> None:
        """Give a row's memory back to the system."""
        self.changes += 1
        for place in range(len(self.tensors)):
            self._free(place, row)

    def release(self) -> None:
        """Give all memory back, and the addresses; nobody may use the tensors any more."""
        self.changes += 1
        self.tensors = []
        self._maps = []
        self.tokens = 0

    def _allocate(self, tokens: int) -> None:
        try:
            made = [self._tensor(tokens) for _ in range(self._count)]
        except (OSError, MemoryError, ValueError) as error:
            raise OutOfMemory(f"Failed to allocate memory for keys and values: {error}") from error
        self.tensors = [tensor for tensor, _ in made]
        self._maps = [pages for _, pages in made]

    def _move_to(self, tokens: int, lengths: Sequence[int]) -> None:
        """Move all rows to longer ones: the new tensors first, for there may be no room for them."""
        old = self.tensors
        old_maps = self._maps
        self._allocate(tokens)
        for place in range(len(old)):
            for row, length in enumerate(lengths):
                if length:
                    self.tensors[place][row, :, :length] = old[place][row, :, :length]
            old[place], old_maps[place] = np.empty(0, self.dtype), None  # frees it before the next

    def _tensor(self, tokens: int) -> tuple[Array, mmap.mmap | None]:
        shape = (self.rows, self.heads, tokens, self.size)
        if not _PRIVATE:
            return np.zeros(shape, self.dtype), None
        pages = mmap.mmap(-1, int(np.prod(shape)) * self.dtype.itemsize, flags=_PRIVATE)
        if _NOHUGEPAGE is not None:
            pages.madvise(_NOHUGEPAGE)  # else a token takes 2 MiB of each tensor where such are on
        return np.frombuffer(pages, self.dtype).reshape(shape), pages

    def _free(self, place: int, row: int) -> None:
        pages = self._maps[place]
        if pages is None or _DONTNEED is None:
            return
        row_bytes = self.heads * self.tokens * self.size * self.dtype.itemsize
        start = -(-row * row_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (row + 1) * row_bytes // mmap.PAGESIZE * mmap.PAGESIZE
        if end > start:
            pages.madvise(_DONTNEED, start, end - start)
