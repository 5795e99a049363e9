"""Declares what is used of the package pygrpc-native, which has no types of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypedDict

Metadata = Sequence[tuple[str, str | bytes]]
Details = tuple[Metadata, str, float | None]
"""Metadata, peer, and how many seconds its caller waits."""

Event = tuple[int, int, int, bytes, object, Details]
"""What it tells: kind, call id, method, payload, client key, details."""


def message_bytes(event: Event) -> int:
    """The bytes of a call's message; 0 for what brings none, as a cancelled call."""
    return len(event[3] or b"")


class SizeMetrics(TypedDict):
    """Of messages."""

    sum: int


class StatusMetrics(TypedDict):
    """Of calls that ended with one status."""

    count: int
    sent: SizeMetrics


class MethodMetrics(TypedDict):
    """Of one method."""

    started: int
    status: Mapping[str, StatusMetrics]


class PackageMetrics(TypedDict):
    """By the methods' paths; `other` are those that go to the fallback."""

    methods: Mapping[str, MethodMetrics]


class Responder(Protocol):
    """Ends calls, from any thread."""

    def respond(self, call_id: int, payload: bytes, /) -> bool:
        """Answer a call. False: its caller is gone."""

    def fail(
        self, call_id: int, code: int, message: str, trailers: Sequence[tuple[str, str | bytes]], /
    ) -> bool:
        """End a call with an error. False: its caller is gone."""

    def metrics(self) -> PackageMetrics | None:
        """Count what was received and sent; None where nothing is counted."""


class Package(Responder, Protocol):
    """A bound port."""

    @property
    def bound_port(self) -> int:
        """The port that it got."""

    def set_fallback(self, path: str, /) -> None:
        """Send all other methods to the server behind this Unix socket."""

    def start(self) -> None:
        """Begin to receive."""

    def recv_batch_details(self, most: int, wait_ms: int | None, /) -> list[Event] | None:
        """Take at most so many events, waiting so long for the first; None once it is closed."""

    def close(self) -> None:
        """Close the port and all calls."""
