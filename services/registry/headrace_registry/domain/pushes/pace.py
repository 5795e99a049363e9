"""Bounds how slowly a caller may send: each pause, and their sum where little comes between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from headrace import errors

Item = TypeVar("Item")

SLOWEST_BYTES_PER_SECOND = 16 << 10
"""Beyond the bound on a pause: a byte now and then must not hold a place for ever."""


class Pace:
    """The pace of one caller; only the time in which it is waited for counts."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._waited_seconds = 0.0
        self._waits_since: float | None = None
        self._timeout: asyncio.Timeout | None = None
        self._received = 0

    def count(self, size: int) -> None:
        """So many bytes came."""
        self._received += size

    def behind_seconds(self) -> float:
        """For how long it was waited, less what its bytes may take; 0 while nobody waits for it."""
        if self._waits_since is None:
            return 0.0
        waiting = asyncio.get_running_loop().time() - self._waits_since
        return waiting + self._waited_seconds - self._received / SLOWEST_BYTES_PER_SECOND

    def end(self) -> None:
        """End the wait that is under way, as if the caller had paused for too long."""
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def wait(self, coming: Awaitable[Item]) -> Item:
        """Return what the caller sends next. Raises DeadlineExceeded (UPLOAD_STALLED)."""
        self._waits_since = asyncio.get_running_loop().time()
        left = self._idle_seconds - max(0.0, self.behind_seconds())
        try:
            async with asyncio.timeout(left) as self._timeout:
                return await coming
        except TimeoutError:
            raise self._stalled() from None
        finally:
            self._waited_seconds += asyncio.get_running_loop().time() - self._waits_since
            self._waits_since = self._timeout = None

    def _stalled(self) -> errors.DeadlineExceeded:
        return errors.DeadlineExceeded(
            "UPLOAD_STALLED",
            f"the push stood still after {self._received} bytes: its pauses, less a second for every "
            f"{SLOWEST_BYTES_PER_SECOND} bytes, may take {self._idle_seconds:g} s (the registry's setting "
            "upload_idle_seconds), and less where others need its place",
            facts={"limit": f"{self._idle_seconds:g}", "setting": "upload_idle_seconds"},
        )
