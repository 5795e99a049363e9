"""How many requests are under way: as many as keep replicas busy, and no more where others come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FIRST = 2
"""One is answered while the next is on its way."""
_FEW, _MANY = 1.0, 2.0
"""Requests that wait at replicas: with fewer, one more is sent; with more, one less."""
_EPOCH = 256
"""After so many answers half as many are sent for a moment: what an answer takes alone is learnt anew."""


class FlightWindow:
    """Decides how many may be under way, by how long answers take.

    An answer that takes twice as long as the shortest has waited as long as it ran: behind others of this
    batch, or behind live requests. So many as wait are too many, whosever they are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._shortest = self._shortest_before = float("inf")
        self._answers = 0
        self._size = float(min(FIRST, most))

    @property
    def size(self) -> int:
        """How many may be under way."""
        return int(self._size)

    def answered(self, seconds: float) -> None:
        """Learn from an answer that took so long."""
        self._answers += 1
        if self._answers % _EPOCH == 0:
            self._shortest_before, self._shortest = self._shortest, float("inf")
            self._size = max(1.0, self._size / 2)
        self._shortest = min(self._shortest, seconds)
        alone = min(self._shortest, self._shortest_before)
        waiting = self._size * (1 - alone / seconds) if seconds > 0 else 0.0
        step = 1 / self._size  # one for each round of answers
        if waiting < _FEW:
            self._size = min(float(self._most), self._size + step)
        elif waiting > _MANY:
            self._size = max(1.0, self._size - step)


class AdaptiveRoom:
    """Room for as many requests as a window says."""

    def __init__(self, most: int) -> None:
        self._window = FlightWindow(most)
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Have a place while inside; who came first gets it first."""
        await self._wait()
        began = asyncio.get_running_loop().time()
        try:
            yield
            self._window.answered(asyncio.get_running_loop().time() - began)
        finally:
            self._under_way -= 1
            self._let_in()

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in, and gone before it knew
                self._under_way -= 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting and self._under_way < self._window.size:
            turn = self._waiting.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)


class Room:
    """Room for so many requests, however long they take."""

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Have a place while inside."""
        async with self._places:
            yield
