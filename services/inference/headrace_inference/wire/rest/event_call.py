"""A request of the generate form whose responses are sent as events, each as soon as it is there."""

from __future__ import annotations

import msgspec

from headrace.errors import HeadraceError, ResourceExhausted
from headrace.service.http.answers import Response
from headrace.service.http.app import printable
from headrace.service.http.events import EVENT_STREAM, event
from headrace.service.http.requests import Request
from headrace.service.http.streamed import BodyStream
from headrace_inference.domain.ingress.generation_stream import OpenStreams
from headrace_inference.domain.ingress.receptions import Receptions
from headrace_inference.domain.scheduling.requests import ResponsePart
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.rest.rest_call import RestCall, Way

MAX_UNREAD_BYTES = 1_048_576
"""Of one request's events; a client that reads slower than its model answers gets no more."""

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventCall(RestCall):
    """Its first response decides the status: an error before it has its own, one after it is an event."""

    __slots__ = ("_body", "_open")

    def __init__(
        self,
        app: RestApp,
        receptions: Receptions,
        http: Request,
        way: Way,
        open_streams: OpenStreams,
    ) -> None:
        super().__init__(app, receptions, http, way)
        self._body: BodyStream | None = None
        self._open = open_streams

    @property
    def has_ended(self) -> bool:
        """Tell whether it was told its outcome."""
        return self.ended

    def end_by(self, error: HeadraceError) -> None:
        """Have nothing more generated, and tell its client why."""
        if self.request is not None:
            self.request.cancelled = True
        self.bursts.refuse(self, error)

    def take_answer(self, encoded: Response, part: ResponsePart) -> None:
        """Send an event, or the end."""
        if part is ResponsePart.WHOLE:
            super().take_answer(encoded, part)
            return
        body = self._begun()
        for piece in encoded.parts:
            body.write(bytes(piece))
        if part is ResponsePart.END:
            self._end(body)
        elif body.pending_bytes > MAX_UNREAD_BYTES:
            self.end_by(_unread())

    def take_error(self, error: HeadraceError) -> None:
        """Send the error, as an event where others went before it."""
        body = self._body
        if body is None:
            super().take_error(error)
            return
        error.forget_history()
        body.write(event(msgspec.json.encode({"error": printable(error.message)})))
        self._end(body)

    def _end(self, body: BodyStream) -> None:
        self.release()
        self.http.respond(body.response)

    def _begun(self) -> BodyStream:
        body = self._body
        if body is None:
            body = self._body = self.http.begin(Response(b"", EVENT_STREAM, headers=_HEADERS))
            self._open.add(self)
        return body

    def release(self) -> None:
        """It has ended, or its client has gone."""
        self._open.discard(self)
        super().release()


def _unread() -> HeadraceError:
    return ResourceExhausted(
        "RESPONSES_UNREAD",
        f"{MAX_UNREAD_BYTES} bytes of responses to this request wait to be read, as many as may; read "
        "them while they come",
    )
