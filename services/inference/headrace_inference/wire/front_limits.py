"""What the gRPC fronts hold at most, and what a caller is told who would have them hold more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.errors import ResourceExhausted

RETRY_AFTER_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class FrontLimits:
    """What a front holds at most; over either the answer is RESOURCE_EXHAUSTED."""

    max_requests: int
    max_bytes: int
    max_message_bytes: int

    def over_limit(self, requests: int, held_bytes: int) -> ResourceExhausted:
        """What a request is told for which there is no room."""
        return ResourceExhausted(
            "REPLICA_OVERLOADED",
            f"this replica holds {requests} requests of {held_bytes} bytes; it holds at most "
            f"{self.max_requests} (max_requests_in_flight) of {self.max_bytes} bytes "
            "(max_bytes_in_flight); retry later, or add replicas",
            facts={"max_requests_in_flight": str(self.max_requests)},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )

    def too_large(self, size: int) -> ResourceExhausted:
        """What a request is told that is larger than any may be."""
        return ResourceExhausted(
            "MESSAGE_TOO_LARGE",
            f"the request has {size} bytes; the replica takes up to {self.max_message_bytes} (its "
            "setting max_message_bytes)",
            facts={"limit": str(self.max_message_bytes), "setting": "max_message_bytes"},
        )


class HeldRequests:
    """The requests that an event loop holds: their bytes in messages and shared memory, and their answers.

    An answer is held until it is sent: callers who do not read must not make the process grow.
    """

    def __init__(self, limits: FrontLimits) -> None:
        self._limits = limits
        self._requests = 0
        self._bytes = 0

    @contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Hold one request of so many bytes while inside. Raises ResourceExhausted."""
        limits = self._limits
        if self._requests >= limits.max_requests or self._bytes + count > limits.max_bytes:
            raise limits.over_limit(self._requests, self._bytes)
        self._requests += 1
        self._bytes += count
        try:
            yield
        finally:
            self._requests -= 1
            self._bytes -= count

    def hold_answer(self, count: int) -> None:
        """Hold an answer of so many bytes, whatever the limit: new requests are refused for it."""
        self._bytes += count

    def answer_sent(self, count: int) -> None:
        """Answers of so many bytes are sent, or will never be."""
        self._bytes -= count
