"""Counts answers that were given to the native package and that their callers have not read.

The package takes every answer at once and keeps it until the caller reads; it says of ended calls alone how
many bytes they were sent. What was given and not sent is what it keeps, but for the answers of calls whose
deadline passed meanwhile, which it drops and does not count: so the number of open calls bounds it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

LOOK_BYTES = 16 * 2**20
"""After so many bytes of answers, look what became of them: it costs 10 µs."""

_LARGE_BYTES = 65_536

Metrics = Callable[[], dict[str, Any] | None]


class OutboundBacklog:
    """What the package keeps. `room` is what requests may hold beside it, of `max_bytes` together."""

    def __init__(self, metrics: Metrics, pending: Callable[[], int], max_bytes: int) -> None:
        self._metrics = metrics
        self._pending = pending
        self._max_bytes = max_bytes
        self._largest = 0
        self._given = 0
        self._given_at_look = 0
        self.bytes = 0
        self.room = max_bytes

    def give(self, answers: Sequence[bytes]) -> None:
        """These were given to the package. One thread at a time may be inside."""
        size = sum(map(len, answers))
        self._given += size
        if size > _LARGE_BYTES:
            self._largest = max(self._largest, *map(len, answers))
        if self._given - self._given_at_look >= LOOK_BYTES:
            self.look()

    def look(self) -> None:
        """See what has been read."""
        self._given_at_look = given = self._given
        (calls,) = [
            calls for path, calls in (self._metrics() or {})["methods"].items() if path != "other"
        ]
        ended = list(calls["status"].values())
        sent = sum([status["sent"]["sum"] for status in ended])
        open_calls = calls["started"] - sum([status["count"] for status in ended])
        unread_calls = max(0, open_calls - self._pending())
        self.bytes = max(0, min(given - sent, unread_calls * self._largest))
        self.room = self._max_bytes - self.bytes
