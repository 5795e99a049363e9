"""The requests of a stream, and what their caller is to be told in their places."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import HeadraceError, ResourceExhausted
from headrace.security.credentials import PeerCertificate
from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.domain.ingress.loop_calls import LoopCall
from headrace_inference.domain.ingress.receptions import Receptions, caller_left
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.domain.scheduling.requests import ResponsePart
from headrace_inference.domain.versions.statistics import Received, RunTimes
from headrace_inference.wire.codec.message_request import MessageRequest
from headrace_inference.wire.codec.request_parser import names_in

MAX_UNSENT_RESPONSES = 4096
"""Of one request; a caller that reads slower than its model answers gets no more."""


class StreamedCall(LoopCall[bytes]):
    """A request's place in its stream. It counts when it is told its outcome there, not when that came."""

    __slots__ = (
        "_answered_by",
        "_budget",
        "_ended_by",
        "_in_parts",
        "_leave",
        "_unsent_bytes",
        "_wake",
        "outcome",
        "parts",
        "request_id",
    )

    def __init__(
        self,
        receptions: Receptions,
        budget: InFlightBudget,
        payload: bytes,
        deadline_ns: int | None,
        wake: Callable[[], None],
        leave: Callable[[StreamedCall], None],
        in_parts: list[StreamedCall],
    ) -> None:
        super().__init__(receptions, lambda: names_in(payload), deadline_ns, len(payload))
        self._budget = budget
        self._wake = wake
        self._leave = leave
        self._in_parts = in_parts
        self._answered_by: tuple[Received, RunTimes] | None = None
        self._ended_by: HeadraceError | None = None
        self._unsent_bytes = 0
        self.request_id = b""
        self.parts: deque[bytes] | None = None
        """Responses that others follow."""
        self.outcome: bytes | HeadraceError | None = None
        """The response that ends it, b"" where its end is told by nothing; or an error."""

    def take_answer(self, encoded: bytes, part: ResponsePart) -> None:
        """Have a response told in its turn."""
        if self.outcome is not None:
            return
        if part is not ResponsePart.PARTIAL:
            self.outcome = encoded
            self._wake()
            if self._answered_by is not None:  # it was not its turn
                self._hold(encoded)
            return
        if self.parts is None:
            self.parts = deque()
            self._in_parts.append(self)
        if len(self.parts) >= MAX_UNSENT_RESPONSES:
            self._end_by(_unread())
            return
        self._hold(encoded)
        self.parts.append(encoded)
        self._wake()

    def take_error(self, error: HeadraceError) -> None:
        """Have an error told in its turn."""
        if self.outcome is None:
            self.outcome = error
            self._wake()

    def answered(self) -> None:
        """It was answered: it counts when its caller is told."""
        self._answered_by = self.run

    def failed(self, error: Exception) -> None:
        """It failed: it counts when its caller is told."""

    def left(self) -> None:
        """Its caller is gone, of its own accord or because its time is up; or it takes too much."""
        now_ns = self._receptions.clock.monotonic_ns()
        gone = caller_left(self.received_ns, self.deadline_ns, now_ns)
        super().failed(self._ended_by or gone)
        self._forget()

    def tell_answer(self) -> None:
        """Count it: its last answer is about to be sent. Raises DeadlineExceeded."""
        self.run = self._answered_by
        try:
            super().answered()
        finally:
            self.run = None
        self._forget()

    def tell_error(self, error: HeadraceError) -> None:
        """Count it: this error is about to be sent."""
        super().failed(error)
        self._forget()

    def next_part(self) -> bytes | None:
        """Take a response that others follow."""
        if not self.parts:
            return None
        part = self.parts.popleft()
        self._release(len(part))
        return part

    def _end_by(self, error: HeadraceError) -> None:
        self.outcome = self._ended_by = error
        self._leave(self)
        self._wake()

    def _hold(self, response: bytes) -> None:
        self._unsent_bytes += len(response)
        self._budget.hold_answers(len(response))

    def _release(self, size: int) -> None:
        self._unsent_bytes -= size
        self._budget.release(0, size)

    def _forget(self) -> None:
        """Nothing more of it is sent; what is left points at no request."""
        self._answered_by = None
        if self._unsent_bytes and not self.parts:
            self._release(self._unsent_bytes)

    def drop(self) -> None:
        """Nothing of it will be sent."""
        self.parts = None
        self._forget()


@dataclass(slots=True, eq=False)
class StreamRequest(MessageRequest):
    """A parsed request of a stream, with the metadata of that."""

    metadata: Headers
    call: StreamedCall
    certificate: PeerCertificate | None = None


def _unread() -> HeadraceError:
    return ResourceExhausted(
        "RESPONSES_UNREAD",
        f"{MAX_UNSENT_RESPONSES} responses to this request wait to be read, as many as may; read "
        "them while they come, and those to earlier requests of the same stream first",
    )
