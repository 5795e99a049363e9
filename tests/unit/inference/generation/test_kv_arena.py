"""Rows of keys and values have memory for the tokens that they hold, wherever they lie."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from headrace.machine.memory import resident_bytes
from headrace_inference.adapters.generation.kv_arena import KvArena, granule_tokens

MIB = 2**20
TENSORS, ROWS, HEADS, SIZE = 8, 8, 4, 64


def _arena(tokens: int = 4096) -> KvArena:
    arena = KvArena(TENSORS, ROWS, HEADS, SIZE, np.dtype(np.float32), tokens)
    arena.grow(tokens, [0] * ROWS)
    return arena


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are counted there")
def test_memory_is_taken_for_tokens_and_given_back() -> None:
    """A row of 4,096 tokens has 4 MiB of each of 8 tensors; one of 16 has a page of each head."""
    arena = _arena()
    before = resident_bytes()
    for tensor in arena.tensors:
        tensor[0] = 1
    long = resident_bytes() - before
    for tensor in arena.tensors:
        tensor[1:, :, :16] = 1
    short = resident_bytes() - before - long
    arena.free(0)
    left = resident_bytes() - before
    assert (True, True, True) == (31 * MIB < long < 34 * MIB, short < 4 * MIB, left < 6 * MIB)


def test_rows_keep_their_tokens_where_all_grow() -> None:
    """And where one is copied or moved to another."""
    arena = _arena(128)
    for number, tensor in enumerate(arena.tensors):
        tensor[2, :, :100] = number + 1
    arena = _grown(arena, 1000)
    arena.copy(2, 5, 100)
    arena.move(2, 3, 60)
    assert arena.tokens >= 1000
    for number, tensor in enumerate(arena.tensors):
        assert (tensor[5, :, :100] == number + 1).all()
        assert (tensor[3, :, :60] == number + 1).all()
        assert not tensor[3, :, 60:].any()


def _grown(arena: KvArena, tokens: int) -> KvArena:
    arena.grow(tokens, [100 if row == 2 else 0 for row in range(ROWS)])
    return arena


@pytest.mark.parametrize(
    ("size", "item_bytes", "expected"), [(64, 4, 16), (128, 2, 16), (80, 4, 16), (8, 4, 128)]
)
def test_a_granule_fills_a_page_of_each_head(size: int, item_bytes: int, expected: int) -> None:
    """The least power of two of tokens that does."""
    assert expected == granule_tokens(size, item_bytes)
