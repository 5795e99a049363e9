"""Bodies of answers that are written piece by piece, as they come to be, to clients who may read slowly."""

from __future__ import annotations

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET

from headrace.service.http.answers import Response
from headrace.service.http.heads import RequestHead

_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_UNTIL_THE_END = b""
_LAST_CHUNK = b"0\r\n\r\n"


class BodyStream:
    """The body of one answer. It belongs to the event loop.

    Writing never waits: whoever makes much looks at `is_full`, or waits in `drain`. Where the client has
    gone, what is written is dropped.
    """

    __slots__ = ("_has_body", "_is_chunked", "_resumed", "_transport", "is_full", "response")

    def __init__(
        self, transport: asyncio.Transport | None, response: Response, head: RequestHead
    ) -> None:
        self.response = response
        self._transport = transport
        self._has_body = head.method != "HEAD"
        self._is_chunked = head.minor_version > 0
        if not self._is_chunked:  # its end is that of the connection
            response.closes = True
        self.is_full = False
        """Whether the client reads too slowly: more is better not made before it has read."""
        self._resumed: asyncio.Future[None] | None = None

    @property
    def pending_bytes(self) -> int:
        """What waits to be sent, because the client has not read what went before."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def head(self) -> bytes:
        """The bytes in front of the body."""
        return self.response.written_head(
            persistent=not self.response.closes,
            minor_version=1 if self._is_chunked else 0,
            framing=_CHUNKED if self._is_chunked else _UNTIL_THE_END,
        )

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if self._transport is None or not self._has_body or not data:
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    async def drain(self) -> None:
        """Wait while the client reads too slowly. Returns, too, where it has gone."""
        while self.is_full and self._transport is not None:
            if self._resumed is None:
                self._resumed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._resumed)

    def resume(self) -> None:
        """The client has read."""
        self.is_full = False
        if self._resumed is not None:
            self._resumed.set_result(None)
            self._resumed = None

    def drop(self) -> None:
        """The client has gone."""
        self._transport = None
        self.resume()

    def end(self) -> None:
        """Nothing more follows."""
        if self._transport is not None and self._has_body and self._is_chunked:
            self._transport.write(_LAST_CHUNK)
        self._transport = None

    def break_off(self) -> None:
        """End the connection, so that its client sees that the body is not whole."""
        transport, self._transport = self._transport, None
        if transport is None or transport.is_closing():
            return
        if self._is_chunked:
            transport.close()
        else:  # there, an orderly end says that all was sent
            _reset(transport)


def _reset(transport: asyncio.Transport) -> None:
    socket = transport.get_extra_info("socket")
    if socket is not None:
        socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
