"""Remembers the prompts whose keys and values are still in rows, so that others need not compute them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_TOKENS = 8
"""What is shorter is computed again: it takes no longer than looking after it."""

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Match:
    """A row whose first tokens are those of a prompt. `whole`: it has no others."""

    row: int
    tokens: int
    whole: bool


def common_length(one: Tokens, other: Tokens) -> int:
    """Return how many tokens two lists begin with alike."""
    most = min(len(one), len(other))
    differs = one[:most] != other[:most]
    first = int(differs.argmax()) if most else 0
    return first if most and differs[first] else most


def best_match(prompt: Tokens, rows: Iterable[tuple[int, Tokens]], most: int) -> Match | None:
    """Return the row that shares the longest beginning with a prompt, up to so many of its tokens."""
    best: Match | None = None
    for row, tokens in rows:
        shared = min(common_length(prompt, tokens), most)
        if shared >= LEAST_TOKENS and (best is None or shared > best.tokens):
            best = Match(row, shared, shared == len(tokens))
    return best


class PrefixCache:
    """The rows that are kept for prompts to come, the least recently used first."""

    def __init__(self) -> None:
        self._kept: dict[int, Tokens] = {}

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._kept)

    def __contains__(self, row: object) -> bool:
        """Tell whether a row is kept."""
        return row in self._kept

    @property
    def rows(self) -> Sequence[tuple[int, Tokens]]:
        """Return the rows with the tokens that they keep, the least recently used first."""
        return list(self._kept.items())

    @property
    def tokens(self) -> int:
        """Count the tokens that are kept."""
        return sum(map(len, list(self._kept.values())))  # from any thread: a copy at once

    def length(self, row: int) -> int:
        """Return how many tokens a row keeps."""
        return len(self._kept[row])

    def keep(self, row: int, tokens: Tokens) -> Sequence[int]:
        """Keep a row; the rows that this makes superfluous, which are kept no more, this one perhaps."""
        for other, kept in self._kept.items():
            if len(kept) >= len(tokens) and common_length(kept, tokens) == len(tokens):
                self.use(other)
                return (row,)
        shorter = [
            other for other, kept in self._kept.items() if common_length(kept, tokens) == len(kept)
        ]
        for other in shorter:
            del self._kept[other]
        self._kept[row] = tokens
        return shorter

    def use(self, row: int) -> None:
        """A row was of use: it is the last to go."""
        self._kept[row] = self._kept.pop(row)

    def move(self, source: int, target: int) -> None:
        """A row moved; its turn to go is the same."""
        self._kept = {target if row == source else row: kept for row, kept in self._kept.items()}

    def drop(self, row: int) -> None:
        """Keep a row no more."""
        del self._kept[row]
