"""Reads that are not behind what was acknowledged before they began, by whichever registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from headrace import errors
from headrace.state.history import Point

_ANSWER_SECONDS = 1.0
"""A server that is silent holds up no read for longer: it goes on with what is known."""
_FOLLOW_SECONDS = 5.0
_OTHER_STATE_SECONDS = 1.0
"""Another state is followed within this time, or was emptied: then what is known is kept for good."""


class Followed(Protocol):
    """The shared state as far as it was followed."""

    @property
    def point(self) -> Point:
        """Return where the catalog is in the history of the state."""

    @property
    def connected(self) -> bool:
        """Return whether the last contact with the server went well."""

    @property
    def problem(self) -> errors.Unavailable | None:
        """Return what keeps it from being followed at present."""

    async def wait_for_revision(self, revision: int) -> None:
        """Wait until the catalog is at this revision or later, or has another history."""

    async def wait_until_left(self, point: Point) -> None:
        """Wait until the catalog is at another point."""


class Freshness:
    """Asks the server how far the state has come, once for all reads that wait for an answer."""

    def __init__(self, state: Followed, newest: Callable[[], Awaitable[Point]]) -> None:
        self._state = state
        self._ask = newest
        self._asking = asyncio.Lock()
        self._begun = 0
        self._answered = 0
        self._newest: Point | None = None

    async def wait(self) -> None:
        """Wait until the catalog has all that was acknowledged before this call.

        Without the server it does not wait. Raises Unavailable (STATE_UNAVAILABLE) where the server is
        further, and the state cannot be followed to there in time.
        """
        if not self._state.connected or self._state.problem is not None:
            return
        newest = await self._newest_point()
        known = self._state.point
        if newest is None or newest == known:
            return
        if newest.epoch != known.epoch:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._state.wait_until_left(known), _OTHER_STATE_SECONDS)
        elif newest.revision > known.revision:
            await self._follow(self._state.wait_for_revision(newest.revision), newest)
        elif newest.revision == known.revision:  # and the hash another
            await self._follow(self._state.wait_until_left(known), newest)

    async def _newest_point(self) -> Point | None:
        """The server's point, asked for after this call began; None where it does not answer."""
        begun_before = self._begun
        async with self._asking:
            if self._answered <= begun_before:
                self._begun += 1
                self._newest = await self._answer()
                self._answered = self._begun
            return self._newest

    async def _answer(self) -> Point | None:
        with suppress(TimeoutError, errors.Unavailable):
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._ask()
        return None

    async def _follow(self, arrival: Awaitable[None], newest: Point) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(arrival, _FOLLOW_SECONDS)
            return
        if self._state.problem is None:
            raise errors.Unavailable(
                "STATE_UNAVAILABLE",
                f"the shared state is at revision {newest.revision}, which could not be followed to within "
                f"{_FOLLOW_SECONDS:g} s: retry",
                retry_after_seconds=1.0,
            )
