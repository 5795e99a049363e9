"""What a replica holds at most, and how large a request and an answer may be, on any wire."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from headrace.errors import ResourceExhausted

RETRY_AFTER_SECONDS = 0.1

SETTING = "max_message_bytes"
"""The setting that bounds requests and answers; errors name it."""

MAX_ANSWER_BYTES = 2**31 - 1024
"""No client's protobuf reads a message of 2 GiB; a stream puts some bytes around an answer."""


@dataclass(frozen=True, slots=True)
class AnswerLimit:
    """The largest answer that may be made."""

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
class IngressLimits:
    """The most that all wires hold together, and the largest message; over any it is RESOURCE_EXHAUSTED."""

    max_requests: int = sys.maxsize
    max_bytes: int = sys.maxsize
    max_message_bytes: int = sys.maxsize

    @property
    def answers(self) -> AnswerLimit:
        """The largest answer that may be made."""
        return AnswerLimit(min(self.max_message_bytes, MAX_ANSWER_BYTES))

    def over_limit(self, requests: int, held_bytes: int) -> ResourceExhausted:
        """Refuse a request for which there is no room."""
        return ResourceExhausted(
            "REPLICA_OVERLOADED",
            f"this replica holds {requests} requests of {held_bytes} bytes; it holds at most "
            f"{self.max_requests} (max_requests_in_flight) of {self.max_bytes} bytes "
            "(max_bytes_in_flight); retry later, or add replicas",
            facts={"max_requests_in_flight": str(self.max_requests)},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )

    def too_large(self, size: int) -> ResourceExhausted:
        """Refuse a request that is larger than any may be."""
        return ResourceExhausted(
            "MESSAGE_TOO_LARGE",
            f"the request has {size} bytes; the replica takes up to {self.max_message_bytes} (its "
            "setting max_message_bytes)",
            facts={"limit": str(self.max_message_bytes), "setting": "max_message_bytes"},
        )
