"""Places that are given in turns to those who wait, so that one who asks often delays others little."""

from __future__ import annotations

import asyncio
from collections import Counter, deque


class FairPlaces:
    """Of those who wait, the owner with the fewest places is next, then whose turn is longest ago."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def waiting(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._waiting.values()))

    async def take(self, owner: str) -> None:
        """Wait for a place; it is the owner's until it is given back."""
        if self.take_nowait(owner):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(owner, turn)
            raise

    def take_nowait(self, owner: str) -> bool:
        """Take a place that is free, if there is one."""
        if not self._free:
            return False
        self._free -= 1
        self._held[owner] += 1
        return True

    def give_back(self, owner: str) -> None:
        """Give a place back, to whoever is next."""
        self._held[owner] -= 1
        self._held += Counter()  # forgets those who hold none
        self._free += 1
        while self._free and self._waiting:
            following = min(self._waiting, key=self._held.__getitem__)
            turns = self._waiting.pop(following)
            turn = turns.popleft()
            if turns:
                self._waiting[following] = turns  # behind those who had no turn yet
            if not turn.done():
                self.take_nowait(following)
                turn.set_result(None)

    def _give_up(self, owner: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():  # the place came while its owner went
            self.give_back(owner)
