"""Counts answers that were given to the native package and that their callers have not read.

The package takes every answer at once and keeps it until the caller reads; it says of ended calls alone how
many bytes they were sent. What was given and not sent is what it keeps, but for the answers of calls whose
deadline passed meanwhile, which it drops and does not count: so the number of open calls bounds it as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.wire.native.package import PackageMetrics

REFRESH_BYTES = 16 * 2**20
"""After so many bytes of answers, find out what became of them: it costs 10 µs."""

LARGE_BYTES = 65_536
"""Of answers given together; how large the largest is does not matter below."""

Metrics = Callable[[], PackageMetrics | None]


class OutboundBacklog:
    """Has the budget hold what the package keeps. Any thread may be inside.

    `given` counts the bytes of all answers, under the budget's lock; at `refresh_at` it is time to refresh.
    """

    def __init__(
        self, metrics: Metrics, waiting: Callable[[], int], budget: InFlightBudget
    ) -> None:
        self._metrics = metrics
        self._waiting = waiting
        self._budget = budget
        self._lock = threading.Lock()
        self._largest = 0
        self._bytes = 0
        self.given = 0
        self.refresh_at = REFRESH_BYTES

    def add(self, answers: Sequence[bytes]) -> None:
        """Look at answers that were given to the package: large ones, and those that make it time."""
        with self._lock:
            self._largest = max((self._largest, *map(len, answers)))
            if self.given >= self.refresh_at:
                self._refresh()

    def refresh(self) -> None:
        """Find out what has been read."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        given = self.given
        self.refresh_at = given + REFRESH_BYTES
        metrics = self._metrics()
        if metrics is None:
            return
        (calls,) = [calls for path, calls in metrics["methods"].items() if path != "other"]
        ended = list(calls["status"].values())
        sent = sum([status["sent"]["sum"] for status in ended])
        open_calls = calls["started"] - sum([status["count"] for status in ended])
        unread_calls = max(0, open_calls - self._waiting())
        kept = max(0, min(given - sent, unread_calls * self._largest))
        self._budget.hold_answers(kept - self._bytes)
        self._bytes = kept
