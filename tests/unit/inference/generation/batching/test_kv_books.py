"""A KV cache holds no more than its budget, and remembers the prompts that it still has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_inference.domain.generation.batching.kv_cache import KvBooks
from headrace_inference.domain.generation.batching.prefix_cache import (
    Match,
    PrefixCache,
    best_match,
    common_length,
)


def test_memory_is_held_in_granules() -> None:
    """So as the system gives it."""
    books = KvBooks(100, 16, 3)
    books.hold(0, 17)
    assert (96, 32, 64) == (books.capacity, books.held[0], books.room)


def test_what_a_row_holds_already_costs_nothing() -> None:
    """Nor does holding less give anything back."""
    books = KvBooks(64, 16, 2)
    books.hold(0, 40)
    books.hold(0, 8)
    assert (48, 0) == (books.total, books.need(0, 48))


def test_more_than_the_budget_is_never_held() -> None:
    """Whoever asks has to make room first."""
    books = KvBooks(64, 16, 2)
    books.hold(0, 48)
    with pytest.raises(AssertionError):
        books.hold(1, 17)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 64))))
def test_the_books_add_up(steps: list[tuple[int, int, int]]) -> None:
    """Whatever is held, moved and given back."""
    books = KvBooks(160, 16, 4)
    for row, other, tokens in steps:
        if row != other and books.held[row]:
            books.move(row, other)
        elif books.need(row, tokens) <= books.room:
            books.hold(row, tokens)
        else:
            books.give_back(row)
        assert sum(books.held) == books.total <= books.capacity


def _tokens(*tokens: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(tokens, np.int64)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((), (), 0), ((1,), (), 0), ((1, 2), (1, 2), 2), ((1, 2, 3), (1, 2), 2), ((1, 2), (3, 2), 0)],
)
def test_common_beginnings(one: tuple[int, ...], other: tuple[int, ...], expected: int) -> None:
    """As many tokens as are alike, from the first on."""
    assert expected == common_length(_tokens(*one), _tokens(*other))


def test_the_longest_beginning_is_taken() -> None:
    """`whole` says that the row has nothing else."""
    prompt = _tokens(*range(20))
    rows = [(3, _tokens(*range(9))), (5, _tokens(*range(12), 99)), (6, _tokens(1, 2))]
    assert Match(5, 12, whole=False) == best_match(prompt, rows, 18)
    assert Match(3, 9, whole=True) == best_match(prompt, rows[:1], 18)
    assert best_match(prompt, rows[2:], 18) is None


def test_the_least_recently_used_goes_first() -> None:
    """Use is what counts, not when it came."""
    cache = PrefixCache()
    cache.keep(1, _tokens(*range(10)))
    cache.keep(2, _tokens(*range(100, 110)))
    cache.use(1)
    assert [2, 1] == [row for row, _ in cache.rows]


def test_the_beginning_of_another_prompt_is_not_kept_beside_it() -> None:
    """Neither where the longer one comes later, nor where it was there before."""
    cache = PrefixCache()
    cache.keep(1, _tokens(*range(10)))
    cache.keep(2, _tokens(*range(12)))
    cache.keep(3, _tokens(*range(11)))
    assert [2] == [row for row, _ in cache.rows]
