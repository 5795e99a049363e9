"""Counts what a replica holds for its callers, over all wires together: requests, and bytes.

Bytes are those of messages, of what is read from shared memory, and of answers that were not sent yet:
callers who do not read must not make the process grow. Any thread may hold and release.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace_inference.domain.ingress.limits import IngressLimits


class InFlightBudget:
    """Counts what is in flight, and tells whether there is room for more."""

    def __init__(self, limits: IngressLimits) -> None:
        self._limits = limits
        self._max_requests, self._max_bytes = limits.max_requests, limits.max_bytes
        self.lock = threading.Lock()
        """Guards the two numbers below, for whoever changes them together with others."""
        self._estimates: list[Callable[[], None]] = []
        self.requests = 0
        self.bytes = 0

    def add_estimate(self, refresh: Callable[[], None]) -> None:
        """Have this called before anything is refused: it holds or releases what it had estimated."""
        self._estimates.append(refresh)

    def try_hold(self, requests: int, size: int) -> bool:
        """Hold these requests of so many bytes together, or nothing where there is no room for them."""
        with self.lock:
            held_requests, held_bytes = self.requests + requests, self.bytes + size
            if held_requests > self._max_requests or held_bytes > self._max_bytes:
                return False
            self.requests, self.bytes = held_requests, held_bytes
            return True

    def hold(self, requests: int, size: int) -> None:
        """The same. Raises ResourceExhausted (REPLICA_OVERLOADED) where there is no room."""
        if self.try_hold(requests, size):
            return
        for refresh in self._estimates:
            refresh()
        if not self.try_hold(requests, size):
            raise self._limits.over_limit(self.requests, self.bytes)

    def hold_answers(self, size: int) -> None:
        """Hold so many bytes of answers, whatever the limit: new requests are refused for them."""
        with self.lock:
            self.bytes += size

    def release(self, requests: int, size: int) -> None:
        """These requests ended, or bytes are held no more."""
        with self.lock:
            self.requests -= requests
            self.bytes -= size

    def can_spare(self, size: int) -> bool:
        """Tell whether so many bytes may be used beside the limit, for what nobody waits for.

        They are an eighth of it at most, and callers must not need more than half of it.
        """
        return self.bytes <= self._max_bytes // 2 and size <= self._max_bytes // 8

    @contextmanager
    def holding(self, requests: int, size: int) -> Iterator[None]:
        """Hold these while inside. Raises ResourceExhausted (REPLICA_OVERLOADED)."""
        self.hold(requests, size)
        try:
            yield
        finally:
            self.release(requests, size)
