"""A stream of requests: what came is answered side by side, and told in the order in which it came.

Those that get several responses are told each as it comes, whatever came before them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from headrace.errors import DeadlineExceeded, HeadraceError
from headrace.security.credentials import Credentials, PeerCertificate
from headrace_inference.domain.ingress.callers import NotVerified, Tell
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.loop_bursts import LoopBursts
from headrace_inference.domain.ingress.receptions import known_error
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.domain.scheduling.queue_refusals import shutting_down
from headrace_inference.wire.codec.request_parser import ParsedMessage, RequestParser
from headrace_inference.wire.codec.slow_requests import is_slow_to_parse, parse_large, size_of
from headrace_inference.wire.streams.calls import StreamedCall, StreamRequest
from headrace_inference.wire.streams.messages import (
    StreamResponse,
    encode,
    error_message,
    wrapped,
)

logger = logging.getLogger(__name__)

STATUS_KEY = "triton_grpc_error"
"""Metadata that asks for a real status instead of an error text in the stream."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Options of streams: the form of answers, how many requests of one are in flight, and until when."""

    response: StreamResponse = "triton"
    max_in_flight: int = 256
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    certificate: PeerCertificate | None = None
    """That of all callers; None where each may have its own."""


class StreamService:
    """Opens streams on the event loop that it was made on."""

    def __init__(self, ingress: Ingress, options: StreamOptions) -> None:
        self.options = options
        self.budget = ingress.budget
        self.deadline_ns = ingress.deadline_ns
        self.limits = ingress.limits
        self.receptions = ingress.receptions
        limit = ingress.limits.answers
        self.bursts = LoopBursts[bytes](
            ingress, lambda answer: encode(answer, limit), takes_parts=True
        )
        self.callers = ingress.callers
        self.now_ns = ingress.clock.monotonic_ns
        self.parser = RequestParser()

    def open(
        self,
        metadata: Headers,
        deadline_ns: int | None,
        wake: Callable[[], None],
        certificate: PeerCertificate | None = None,
    ) -> StreamSession:
        """Open a stream; whoever opens it calls `leave` at its end. `wake` is called when to `take`."""
        return StreamSession(self, metadata, deadline_ns, wake, certificate)

    @contextmanager
    def holding(self, message: bytes) -> Iterator[None]:
        """While inside, a message is being sent: callers who do not read must not make the process grow."""
        self.budget.hold_answers(len(message))
        try:
            yield
        finally:
            self.budget.release(0, len(message))

    def stopping(self) -> HeadraceError:
        """Count and return the error of a stream that the replica's end ends: more may follow in vain."""
        return self.refusal(shutting_down())

    def refusal(self, error: HeadraceError) -> HeadraceError:
        """Count and return an error that ends a stream by itself: no request is at fault."""
        self.receptions.record_unread(error.reason)
        return error


class StreamSession:
    """One stream. All of it belongs to the event loop."""

    def __init__(
        self,
        service: StreamService,
        metadata: Headers,
        deadline_ns: int | None,
        wake: Callable[[], None],
        certificate: PeerCertificate | None = None,
    ) -> None:
        self._service = service
        self._certificate = certificate or service.options.certificate
        self._metadata = metadata
        self._deadline_ns = deadline_ns
        self._wake = wake
        self._calls: deque[StreamedCall] = deque()
        """The requests whose callers were not told all, in the order in which they came."""
        self._in_parts: list[StreamedCall] = []
        """Those that get several responses: these do not wait for what came before."""
        self._max_in_flight = service.options.max_in_flight
        self._bare = service.options.response == "mlserver"
        self._wants_status = self._bare or any(
            key == STATUS_KEY and value == "true" for key, value in metadata
        )
        self._is_let_in = not service.callers.are_checked
        self._refused_by: HeadraceError | None = None
        self._is_asked = False
        """True once a caller who is refused may be told so: clients that are refused while they send their
        first message show another error."""
        if not self._is_let_in:
            self._greet()

    @property
    def is_refused(self) -> bool:
        """Tell whether its caller is not let in: what it sends need not be read."""
        return self._refused_by is not None

    @property
    def has_room(self) -> bool:
        """Tell whether another request may come: what is read is answered."""
        return len(self._calls) < self._max_in_flight and (self._is_let_in or self.is_refused)

    @property
    def is_answered(self) -> bool:
        """Tell whether all that came was told its outcome."""
        return self._is_let_in and not self._calls

    def put(self, payload: bytes) -> None:
        """Take a request."""
        if self.is_refused:
            self.end()
            return
        service = self._service
        call = StreamedCall(
            service.receptions,
            service.budget,
            payload,
            self._deadline_ns,
            self._wake,
            service.bursts.leave,
            self._in_parts,
        )
        self._calls.append(call)
        try:
            if is_slow_to_parse(payload):
                self._put_slow(call, payload)
            else:
                self._admit(call, service.parser.parse(payload))
        except HeadraceError as error:
            call.take_error(error)

    def take(self) -> bytes | None:
        """The next message to the caller, about to be sent; None: there is none yet.

        Raises HeadraceError where an error ends the stream.
        """
        if self._refused_by is not None and self._is_asked:
            raise self._service.refusal(self._refused_by)
        while self._calls:
            call = self._calls[0]
            if (part := call.next_part()) is not None:
                return part if self._bare else wrapped(part, is_last=False)
            if call.outcome is None:
                return None if self._bare else self._take_other()
            self._calls.popleft()
            if (message := self._told_outcome(call, call.outcome)) is not None:
                return message
        return None

    def _take_other(self) -> bytes | None:
        """The next message to one of those that get several responses, which the first does not hold up."""
        for call in self._in_parts:
            if (part := call.next_part()) is not None:
                return wrapped(part, is_last=False)
            if call.outcome is not None:
                self._calls.remove(call)
                return self._told_outcome(call, call.outcome) or self.take()
        return None

    def _told_outcome(self, call: StreamedCall, outcome: bytes | HeadraceError) -> bytes | None:
        if call.parts is not None:
            self._in_parts.remove(call)
        if isinstance(outcome, HeadraceError):
            return self._told_error(call, outcome)
        return self._told(call, outcome)

    def _greet(self) -> None:
        """Find out who calls, before anything is read: nobody who is unknown gets further."""
        service, loop = self._service, asyncio.get_running_loop()

        def tell(error: HeadraceError | None) -> None:
            loop.call_soon_threadsafe(self._let_in, error)

        try:
            service.callers.greet(self._metadata, service.now_ns(), self._certificate)
        except NotVerified as waiting:
            self._verify(waiting.credentials, tell)
        except HeadraceError as error:
            self._refused_by = error
        else:
            self._is_let_in = True

    def _verify(self, credentials: Credentials, tell: Tell) -> None:
        try:
            self._service.callers.verify(credentials, tell)
        except HeadraceError as error:
            self._refused_by = error

    def _let_in(self, error: HeadraceError | None) -> None:
        self._is_let_in, self._refused_by = error is None, error
        self._wake()

    def end(self) -> None:
        """Nothing more is asked."""
        self._is_asked = True
        if self.is_refused:
            self._wake()

    def leave(self) -> None:
        """Nobody is told anything more: drop what waits."""
        while self._calls:
            call = self._calls.popleft()
            self._service.bursts.leave(call)
            call.drop()

    def _told(self, call: StreamedCall, answer: bytes) -> bytes | None:
        try:
            call.tell_answer()
        except DeadlineExceeded:
            call.left()
            raise
        if not answer:
            return None
        return answer if self._bare else wrapped(answer, is_last=True)

    def _told_error(self, call: StreamedCall, error: HeadraceError) -> bytes:
        call.tell_error(error)
        if self._wants_status:
            raise error
        return error_message(call.request_id, error)

    def _admit(self, call: StreamedCall, parsed: ParsedMessage) -> None:
        call.request_id = parsed.id
        call.held_bytes = size_of(parsed)
        self._service.bursts.put(
            StreamRequest(
                parsed.payload,
                parsed.header,
                parsed.id,
                parsed.raw,
                parsed.template,
                self._metadata,
                call,
                self._certificate,
            )
        )

    def _put_slow(self, call: StreamedCall, payload: bytes) -> None:
        """Have a request parsed by a thread of its own."""

        def go_on(parsing: asyncio.Future[ParsedMessage]) -> None:
            if call.ended:
                return
            error = parsing.exception()
            if error is None:
                self._admit(call, parsing.result())
                return
            if not isinstance(error, HeadraceError):
                logger.error("a bug ended a request", exc_info=error)
            assert isinstance(error, Exception)
            call.take_error(known_error(error))

        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, parse_large, payload).add_done_callback(go_on)
