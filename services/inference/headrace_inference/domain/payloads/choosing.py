"""Chooses the requests that are logged: a share of them, and so many rows a second at most."""

from __future__ import annotations

import random
import threading

from headrace.telemetry.sampled_ids import is_sampled
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling.requests import Asked

BURST_SECONDS = 10.0
"""What was not logged for so long may be logged at once."""


class PayloadChoice:
    """Shared by all versions of a replica, and asked from every thread that answers."""

    def __init__(self, clock: Clock, share: float, rows_per_second: float) -> None:
        self._clock, self._share, self._rate = clock, share, rows_per_second
        self._left = BURST_SECONDS * rows_per_second
        self._since_ns = clock.monotonic_ns()
        self._lock = threading.Lock()
        self._random = random.Random()  # noqa: S311  # chooses requests, and keeps no secret
        self.left_out = 0
        """Requests that were chosen, for which the rows of this second were used up."""

    def chooses(self, asked: Asked | None, rows: int) -> bool:
        """Return whether this request is logged: by the hash of its id, or where it has none, by chance."""
        return self._is_in_share(asked) and self._takes(rows)

    def _is_in_share(self, asked: Asked | None) -> bool:
        if self._share >= 1:
            return True
        request_id = asked.id_text if asked is not None else ""
        if request_id:
            return is_sampled(request_id, self._share)
        return self._random.random() < self._share

    def _takes(self, rows: int) -> bool:
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            passed = (now_ns - self._since_ns) / 1e9
            self._since_ns = now_ns
            self._left = min(self._left + passed * self._rate, BURST_SECONDS * self._rate)
            if self._left < 1:
                self.left_out += 1
                return False
            self._left -= rows
            return True
