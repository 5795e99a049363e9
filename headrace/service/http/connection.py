"""One client's connection: requests in, one after the other, and their answers out, in that order.

A small request that comes in one piece, as most do, is taken without a copy of its body, and nothing of it
waits. While a request is answered, what follows it is kept aside, and the client is not read from for long.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import cast

from headrace.errors import DeadlineExceeded, HeadraceError, InvalidArgument
from headrace.security.credentials import PeerCertificate
from headrace.service.http import compression
from headrace.service.http.answers import Response, refusal
from headrace.service.http.chunks import ChunkDecoder, check_begun
from headrace.service.http.heads import (
    HEAD_END,
    MAX_HEADER_BYTES,
    MalformedHttp,
    PartialHead,
    RequestHead,
    too_large,
)
from headrace.service.http.hosts import Host, State
from headrace.service.http.requests import Body, Exchange, Request
from headrace.service.http.streamed import BodyStream
from headrace.service.http.unread import Unread
from headrace.tls.peer_certificate import from_peercert

logger = logging.getLogger(__name__)

COPIED_BYTES = 32_768
"""A body of up to this much is copied out of what it came in: it is handled faster as bytes of its own."""

JOINED_BYTES = 65_536
"""An answer of up to this much is sent as one piece; copying it costs less than a second system call."""

MAX_AHEAD_BYTES = 262_144
"""What a client may send beyond the request that is answered, before it is read from no more."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """A connection of a server. Its state belongs to the event loop."""

    __slots__ = (
        "_body",
        "_chunks",
        "_exchange",
        "_expected",
        "_is_dropping",
        "_is_paused",
        "_is_stepping",
        "_max_bytes",
        "_partial",
        "_received",
        "_request",
        "_rest",
        "_server",
        "_stream",
        "_transport",
        "_unread",
        "certificate",
        "heard",
        "is_writable",
        "remote",
        "state",
    )

    def __init__(self, server: Host) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self.remote = ""
        self.certificate: PeerCertificate | None = None
        """The client's, where it showed one over TLS."""
        self.state = State.IDLE
        self.heard = server.now
        """When something came, or was answered, last: by the server's clock, which ticks seldom."""
        self.is_writable = True
        self._rest = b""
        self._is_stepping = False
        self._partial: PartialHead | None = None
        self._request: Request | None = None
        self._exchange: Exchange | None = None
        self._stream: BodyStream | None = None
        """The body of the present answer, where that is written as it comes to be."""
        self._body = bytearray()
        self._received = self._expected = 0
        self._chunks: ChunkDecoder | None = None
        self._is_dropping = self._is_paused = False
        self._max_bytes = 0
        self._unread = Unread()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class
        peer = transport.get_extra_info("peername")
        self.remote = peer[0] if isinstance(peer, tuple) and peer else ""
        self.certificate = self._server.certificate_of_all
        if self.certificate is None:
            self.certificate = from_peercert(transport.get_extra_info("peercert"))
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # why does not matter
        """The client has gone: so has whoever waited for an answer."""
        self._server.connections.discard(self)
        self._transport = None
        self._tell_unread()
        exchange, self._exchange = self._exchange, None
        stream, self._stream = self._stream, None
        self._request = None
        self._rest, self._body = b"", bytearray()
        self.state = State.ENDING
        if stream is not None:
            stream.drop()
        if exchange is not None:
            exchange.leave()

    def eof_received(self) -> None:
        """The client sends nothing more: one that does so while an answer is written to it has gone."""
        if self._stream is not None:
            self.abort()

    def pause_writing(self) -> None:
        """The client reads too slowly: nothing more is begun for it."""
        self.is_writable = False
        self._tell_unread()
        if self._stream is not None:
            self._stream.is_full = True

    def resume_writing(self) -> None:
        """The client has read."""
        self.is_writable = True
        self._tell_unread()
        self.heard = self._server.now
        if self._stream is not None:
            self._stream.resume()
        elif self.state is State.IDLE:
            self._read_on()
            self._step()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self.heard = self._server.now
        state = self.state
        if state is State.BODY:
            self._take_body(data)
        elif state is State.ENDING:
            return
        else:
            self._rest = self._rest + data if self._rest else data
            if state is State.ANSWERING or not self.is_writable:
                if len(self._rest) > MAX_AHEAD_BYTES:
                    self._pause_reading()
                return
            if state is State.HEAD:
                self._look_at(data)
        self._step()

    def _step(self) -> None:
        """Begin with what is there, request after request, as long as they are answered at once."""
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._rest and self.is_writable and self.state in (State.IDLE, State.HEAD):
                if not self._begin():
                    break
        except MalformedHttp as error:
            self._refuse(error)
        finally:
            self._is_stepping = False

    def _begin(self) -> bool:
        """Begin with the next request; False where its head is not there yet. Raises MalformedHttp."""
        data = self._rest
        end = data.find(HEAD_END)
        if end <= 0 or data[0] in b"\r\n":
            data = self._rest = data.lstrip(b"\r\n")
            end = data.find(HEAD_END)
            if end < 0:
                self._await_head(data)
                return False
        end += len(HEAD_END)
        self._partial = None
        head = self._server.parser.parse(data[:end])
        self._rest = b""
        if head.is_chunked:
            check_begun(data[end:])  # what is no chunk from the start is no request
            self._chunks = ChunkDecoder()
            self._open(head)
            self._await_body(data[end:])
        elif not head.content_length:
            self._open(head)
            self._rest = data[end:]
            self._complete(b"")
        else:
            self._open(head)
            self._take_at_once(head, data, end)
        return True

    def _await_head(self, data: bytes) -> None:
        if len(data) > MAX_HEADER_BYTES:
            raise too_large(len(data))
        if data and self.state is State.IDLE:
            self.state = State.HEAD
            self._look_at(data)

    def _look_at(self, piece: bytes) -> None:
        """Tell what is wrong with a head before its end is there, as far as that can be told."""
        if self._partial is None:
            self._partial = PartialHead()
        try:
            self._partial.feed(piece)
        except MalformedHttp as error:
            if HEAD_END in self._rest:  # it is looked at as a whole
                return
            self._refuse(error)

    def _open(self, head: RequestHead) -> None:
        self.state = State.BODY
        self._request = request = Request(head, self)
        self._exchange = exchange = self._server.application.open(request)
        self._max_bytes = exchange.max_body_bytes
        self._is_dropping = self._max_bytes < 0

    def _take_at_once(self, head: RequestHead, data: bytes, start: int) -> None:
        """Take a body of known length that follows its head; most are there already."""
        exchange, length = self._exchange, head.content_length
        end = start + length
        if exchange is None:  # answered already
            return
        if self._is_dropping or length > self._max_bytes or len(data) < end:
            self._expected = length
            self._await_body(data[start:])
            return
        try:
            exchange.take_part(length)
        except HeadraceError as error:
            self._rest = data[end:]
            self.state = State.ANSWERING  # all of it was read: the connection can go on
            exchange.fail(error)
            return
        if len(data) == end:
            view = length > COPIED_BYTES
            self._complete(memoryview(data)[start:] if view else data[start:])
        else:
            self._rest = data[end:]
            self._complete(data[start:end])

    def _await_body(self, begun: bytes) -> None:
        """Take the body as it comes; its beginning may be there."""
        request = self._request
        if request is None or self._exchange is None:  # answered already
            return
        if not self._is_dropping and self._expected > self._max_bytes:
            self._fail(self._server.application.too_large(self._max_bytes))
            return
        if request.head.expects and not begun:
            if request.head.expects != "100-continue":
                text = (
                    f"nothing but 100-continue can be expected, not '{request.head.expects[:40]}'"
                )
                self._fail_with(refusal(HTTPStatus.EXPECTATION_FAILED, text))
                return
            if self._is_dropping:  # the answer is known: nobody has to send what is dropped
                self._exchange.take_body(b"")
                return
            if self._transport is not None:
                self._transport.write(_CONTINUE)
        if begun:
            self._take_body(begun)

    def _take_body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._take_chunks(self._chunks, data)
            return
        missing = self._expected - self._received
        if len(data) > missing:
            data, self._rest = data[:missing], data[missing:]
        if self._take_part(data) and self._received == self._expected:
            self._complete(self._body)

    def _take_chunks(self, chunks: ChunkDecoder, data: bytes) -> None:
        try:
            for part in chunks.feed(data):
                if not self._take_part(part):
                    return
        except MalformedHttp as error:
            self._fail(
                InvalidArgument("MALFORMED_BODY", f"the request's body is broken: {error.text}")
            )
            return
        if chunks.has_ended:
            self._rest = chunks.rest
            self._complete(self._body)

    def _take_part(self, part: bytes) -> bool:
        """Take a part of the body; False where it was refused."""
        self._received += len(part)
        if self._is_dropping:
            return True
        exchange = self._exchange
        if exchange is None:
            return False
        if self._received > self._max_bytes:
            self._fail(self._server.application.too_large(self._max_bytes))
            return False
        try:
            exchange.take_part(len(part))
        except HeadraceError as error:
            self._fail(error)
            return False
        self._body += part
        return True

    def _complete(self, body: Body) -> None:
        """All of the body is there."""
        if self._body:
            self._body = bytearray()
        self._chunks = None
        self._received = self._expected = 0
        exchange = self._exchange
        if exchange is None:  # it answered before it had the body
            return
        self.state = State.ANSWERING
        exchange.take_body(body)

    def _fail(self, error: HeadraceError) -> None:
        """The body is not what it should be: the exchange says so, and the connection ends."""
        exchange = self._exchange
        self._body = bytearray()
        if exchange is not None:
            exchange.fail(error)

    def _fail_with(self, response: Response) -> None:
        exchange, request = self._exchange, self._request
        if exchange is not None and request is not None:
            exchange.leave()
            self.answer(request, response)

    def answer(self, request: Request, response: Response) -> None:
        """Answer the present request; nothing happens if it was answered, or its client has gone."""
        if request is not self._request or self._transport is None:
            return
        self._exchange = self._request = None
        if self._stream is not None:
            self._end_stream(self._stream, response)
            return
        self._finish(request, response)
        encoding = (
            compression.chosen_encoding(request.head.get("accept-encoding"))
            if response.compressible and response.size >= compression.MIN_BYTES
            else ""
        )
        if not encoding:
            self._send(request, response)
            return

        def send_packed(body: bytes) -> None:
            response.parts, response.size = (body,), len(body)
            self._send(request, response)

        response.headers["Content-Encoding"] = encoding
        compression.pack(response.parts, encoding, send_packed)

    def _finish(self, request: Request, response: Response) -> None:
        if self.state is State.BODY:  # the rest of the body would be read as a request
            response.closes = True
        self._server.application.finish(request, response)
        if self._server.is_closing or not request.head.is_persistent:
            response.closes = True

    def begin(self, request: Request, response: Response) -> BodyStream:
        """Send the head of an answer whose body is written as it comes to be."""
        transport = self._transport
        if request is not self._request or transport is None:
            return BodyStream(None, response, request.head)
        self._finish(request, response)
        self._stream = stream = BodyStream(transport, response, request.head)
        stream.is_full = not self.is_writable
        transport.write(stream.head())
        return stream

    def _end_stream(self, stream: BodyStream, response: Response) -> None:
        self._stream = None
        if response is stream.response:
            stream.end()
            self._go_on(response)
        else:  # it failed, and its status was sent
            self.state = State.ENDING
            self._read_on()
            stream.break_off()

    def _send(self, request: Request, response: Response) -> None:
        """Write an answer, then go on with what has come meanwhile."""
        transport = self._transport
        if transport is None:
            return
        head = request.head
        start = response.written_head(
            persistent=not response.closes, minor_version=head.minor_version
        )
        if head.method == "HEAD":
            transport.write(start)
        elif response.size <= JOINED_BYTES:
            transport.write(b"".join((start, *response.parts)))
        else:
            transport.writelines([start, *response.parts])
        self._go_on(response)

    def _go_on(self, response: Response) -> None:
        """Go on with what has come while a request was answered, or end."""
        self.heard = self._server.now
        if response.closes:
            self._end()
            return
        self.state = State.IDLE
        if self._rest and self.is_writable:
            self._read_on()
            self._step()

    def _refuse(self, error: MalformedHttp) -> None:
        """Answer what is no HTTP, in JSON, too; the connection ends with it."""
        logger.debug("malformed HTTP: %s", error.text, extra={"remote": self.remote})
        transport = self._transport
        if transport is None or self.state is State.ENDING:
            return
        response = refusal(error.status, error.text)
        self._server.application.refused(response.reason)
        transport.write(
            response.written_head(persistent=False, minor_version=1) + bytes(response.parts[0])
        )
        self._end()

    def _end(self) -> None:
        """Send nothing more, and drop what still comes for a while: else the answer might not be read."""
        self.state = State.ENDING
        self._rest, self._body = b"", bytearray()
        self._read_on()
        transport = self._transport
        if transport is None:
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:  # TLS: its end is said, and the client's awaited, while what still comes is dropped
            self.close()

    def _pause_reading(self) -> None:
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def reads(self) -> bool:
        """Tell whether a client that reads too slowly has read since this was asked last."""
        return self._tell_unread()

    def _tell_unread(self) -> bool:
        waiting = self._transport if not self.is_writable else None
        return self._unread.tell(waiting, self._server.application)

    def silent(self, seconds: float) -> None:
        """Nothing has come for too long: whoever waits for more of a body says so, and all else ends."""
        if self.state is State.BODY and self._exchange is not None:
            self._fail(
                DeadlineExceeded(
                    "BODY_STALLED",
                    f"nothing more of the request's body came for {seconds:g} s",
                )
            )
        else:
            self.close()

    def close(self) -> None:
        """End the connection; what was written is still sent."""
        transport = self._transport
        if (
            transport is not None and not transport.is_closing()
        ):  # TLS of asyncio is lost by a second one
            transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def abort_if_sent(self) -> None:
        """End the connection at once, unless something waits to be sent."""
        if self._transport is not None and not self._transport.get_write_buffer_size():
            self._transport.abort()
