"""Server-sent events: an answer that is a stream of them, with signs of life while there are none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from headrace.service.http.answers import Response
from headrace.service.http.requests import Request
from headrace.service.http.streamed import BodyStream

EVENT_STREAM = "text/event-stream; charset=utf-8"

PING_SECONDS = 10.0
"""A stream that says nothing for so long says so: clients and proxies give up silent connections."""

_PING = b": ping\n\n"
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Nobody on the way keeps events back to send several together."""


def event(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: %b\n\n" % data


class EventStream:
    """Events on their way to a client."""

    def __init__(self, body: BodyStream, ping_seconds: float) -> None:
        self.body = body
        self._seconds = ping_seconds
        self._loop = asyncio.get_running_loop()
        self._is_silent = True
        self._timer = self._loop.call_later(ping_seconds, self._ping)

    @property
    def response(self) -> Response:
        """The answer; a handler that returns it ends the stream."""
        return self.body.response

    def send(self, events: bytes) -> None:
        """Send these events, whole ones, together."""
        self._is_silent = False
        self.body.write(events)

    def _ping(self) -> None:
        """Say something where nothing was said; a client that does not read needs no more to read."""
        if self._is_silent and not self.body.is_full:
            self.body.write(_PING)
        self._is_silent = True
        self._timer = self._loop.call_later(self._seconds, self._ping)

    def close(self) -> None:
        """Say nothing more."""
        self._timer.cancel()


@contextmanager
def sending_events(
    request: Request, headers: Mapping[str, str] | None = None, ping_seconds: float = PING_SECONDS
) -> Iterator[EventStream]:
    """Answer a request with a stream of events; inside, comments are sent as long as there are none.

    The head is sent at once. A handler returns the stream's `response`; where it raises an error instead,
    the connection is broken off.
    """
    response = Response(b"", EVENT_STREAM, headers={**_HEADERS, **(headers or {})})
    stream = EventStream(request.begin(response), ping_seconds)
    try:
        yield stream
    finally:
        stream.close()
