"""The versions that wait for their turn to be loaded, those that load in moments apart from the others."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.state.desired import Key

Ranked = tuple[int, Key]


@dataclass(slots=True)
class LoadQueue:
    """A queue by rank. A version is told from the quick ones once, when it comes to the head."""

    _unseen: list[Ranked] = field(default_factory=list)
    _slow: list[Ranked] = field(default_factory=list)
    looks_on: bool = False

    def add(self, key: Key, rank: int) -> None:
        """A version waits, or waits with another rank."""
        heapq.heappush(self._unseen, (rank, key))

    def first(
        self, most: int, waits: Callable[[int, Key], bool], is_quick: Callable[[Key], bool]
    ) -> list[Key]:
        """The first quick ones and the first others, `most` of each; those that do not wait go.

        Of the versions that nobody saw yet at most so many are looked at: `looks_on` says that none of
        these is quick and others may be.
        """
        quick: dict[Key, int] = {}
        for rank, key in _popped(self._unseen, most, waits):
            if is_quick(key):
                quick[key] = rank
            else:
                heapq.heappush(self._slow, (rank, key))
        self.looks_on = bool(self._unseen) and not quick
        slow = {key: rank for rank, key in _popped(self._slow, most, waits)}
        for queue, found in ((self._unseen, quick), (self._slow, slow)):
            for key, rank in found.items():
                heapq.heappush(queue, (rank, key))
        return [*quick, *slow]


def _popped(queue: list[Ranked], most: int, waits: Callable[[int, Key], bool]) -> list[Ranked]:
    """The first that still wait, taken out."""
    found: list[Ranked] = []
    while queue and len(found) < most:
        rank, key = heapq.heappop(queue)
        if waits(rank, key):
            found.append((rank, key))
    return found
