"""A request of the generate form whose responses are sent as events, each as soon as it is there."""

from __future__ import annotations

import msgspec

from headrace.errors import HeadraceError, ResourceExhausted
from headrace.service.http.answers import Response
from headrace.service.http.app import printable
from headrace.service.http.events import EVENT_STREAM, event
from headrace.service.http.streamed import BodyStream
from headrace_inference.domain.scheduling.requests import ResponsePart
from headrace_inference.wire.rest.rest_call import RestCall

MAX_UNREAD_BYTES = 1_048_576
"""Of one request's events; a client that reads slower than its model answers gets no more."""

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventCall(RestCall):
    """Its first response decides the status: an error before it has its own, one after it is an event."""

    __slots__ = ("_body",)

    _body: BodyStream | None

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
            if self.request is not None:
                self.request.cancelled = True
            self.bursts.refuse(self, _unread())

    def take_error(self, error: HeadraceError) -> None:
        """Send the error, as an event where others went before it."""
        body = self._opened()
        if body is None:
            super().take_error(error)
            return
        error.forget_history()
        body.write(event(msgspec.json.encode({"error": printable(error.message)})))
        self._end(body)

    def _end(self, body: BodyStream) -> None:
        self.release()
        self.http.respond(body.response)

    def _opened(self) -> BodyStream | None:
        return getattr(self, "_body", None)

    def _begun(self) -> BodyStream:
        body = self._opened()
        if body is None:
            body = self._body = self.http.begin(Response(b"", EVENT_STREAM, headers=_HEADERS))
        return body


def _unread() -> HeadraceError:
    return ResourceExhausted(
        "RESPONSES_UNREAD",
        f"{MAX_UNREAD_BYTES} bytes of responses to this request wait to be read, as many as may; read "
        "them while they come",
    )
