"""What the gRPC fronts hold at most, and what a caller is told who would have them hold more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.errors import ResourceExhausted

RETRY_AFTER_SECONDS = 0.1

SETTING = "max_message_bytes"
"""The setting that bounds requests and answers; errors name it."""

MAX_ANSWER_BYTES = 2**31 - 1024
"""No client's protobuf reads a message of 2 GiB; a stream puts some bytes around an answer."""


@dataclass(frozen=True, slots=True)
class AnswerLimit:
    """How large an answer may be, over whichever front it goes."""

    max_bytes: int = MAX_ANSWER_BYTES

    def check(self, size: int) -> None:
        """Refuse an answer before it is made. Raises ResourceExhausted (ANSWER_TOO_LARGE)."""
        if size > self.max_bytes:
            raise ResourceExhausted(
                "ANSWER_TOO_LARGE",
                f"the answer would have {size} bytes or more; the replica makes answers of up to "
                f"{self.max_bytes} ({SETTING}; never over {MAX_ANSWER_BYTES}, which is what clients can "
                "read): send less at a time, ask for fewer outputs, or have them written to shared memory",
                facts={"limit": str(self.max_bytes), "setting": SETTING},
            )


NO_LIMIT = AnswerLimit(sys.maxsize)


@dataclass(frozen=True, slots=True)
class FrontLimits:
    """What a front holds at most; over either the answer is RESOURCE_EXHAUSTED."""

    max_requests: int
    max_bytes: int
    max_message_bytes: int

    @property
    def answers(self) -> AnswerLimit:
        """The largest answer that may be made."""
        return AnswerLimit(min(self.max_message_bytes, MAX_ANSWER_BYTES))

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


class InFlightBytes:
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
