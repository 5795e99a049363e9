"""The calls of the native front that are not answered yet, by the package's ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from headrace.security.credentials import GATEWAY_SOCKET, PeerCertificate
from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.wire.codec.message_request import MessageRequest
from headrace_inference.wire.native.outbound_backlog import LARGE_BYTES, Metrics, OutboundBacklog
from headrace_inference.wire.native.package import Event


class Waiting(Protocol):
    """A call that waits: to be decoded, or for a run."""

    cancelled: bool

    def leave(self, now_ns: int) -> None:
        """Its caller waits no longer: of its own accord, or because its time is up."""


@dataclass(slots=True, eq=False)
class Call(MessageRequest):
    """A call with its parsed request."""

    certificate: ClassVar[PeerCertificate | None] = None
    event: Event
    held_bytes: int
    """The bytes that it holds of the budget."""

    @property
    def call_id(self) -> int:
        """The package's id."""
        return self.event[1]

    @property
    def metadata(self) -> Headers:
        """The call's metadata."""
        return self.event[5][0]


@dataclass(slots=True, eq=False)
class GatewayCall(Call):
    """A call that came over a gateway's socket."""

    certificate: ClassVar[PeerCertificate | None] = GATEWAY_SOCKET


class OpenCalls:
    """The calls by id, each in its present form, and what all of them hold. Any thread may end them."""

    def __init__(self, budget: InFlightBudget, metrics: Metrics) -> None:
        self.waiting: dict[int, Waiting] = {}
        self.budget = budget
        self._backlog = OutboundBacklog(metrics, self.waiting.__len__, budget)
        budget.add_estimate(self._backlog.refresh)

    def end(self, calls: Sequence[Call], answers: Sequence[bytes] = ()) -> None:
        """These calls were told their outcomes: answers, or else errors."""
        held = 0
        waiting = self.waiting
        for call in calls:
            waiting.pop(call.event[1], None)
            held += call.held_bytes
        budget, backlog = self.budget, self._backlog
        given = sum(map(len, answers))
        with budget.lock:  # once, for what `release` and `add` would do
            budget.requests -= len(calls)
            budget.bytes -= held
            backlog.given += given
        if given > LARGE_BYTES or backlog.given >= backlog.refresh_at:
            backlog.add(answers)

    def end_unparsed(self, event: Event) -> None:
        """The same of a call that never was a request: it holds its message."""
        self.waiting.pop(event[1], None)
        self.budget.release(1, len(event[3]))

    def abandon(self) -> None:
        """Nobody will be answered any more: what waits need not run, and what runs may end."""
        for call in list(self.waiting.values()):
            call.cancelled = True


def deadline_of(event: Event, received_ns: int) -> int | None:
    """The monotonic time at which the caller of a call that came then waits no longer."""
    seconds = event[5][2]
    return None if seconds is None else received_ns + int(seconds * 1e9)
