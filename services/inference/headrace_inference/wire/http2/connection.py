"""A connection of HTTP/2, of either side: what comes goes to its streams, what they send goes out.

Its peer is on this machine and trusted: the native front, or the grpc.aio server. A peer that breaks the
protocol loses its connection and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from hpack import Decoder, Encoder, HPACKError

from headrace.service.grpc_serving import MAX_METADATA_BYTES
from headrace_inference.wire.http2 import frames
from headrace_inference.wire.http2.frames import ConnectionFailed, ErrorCode
from headrace_inference.wire.http2.stream import RECEIVE_WINDOW, Header, Stream

logger = logging.getLogger(__name__)

CONNECTION_WINDOW = 2**24
"""Each stream has a bound of its own: one that nobody looks at must not hold up the others."""

FLUSH_BYTES = 262_144
"""So much is handed to the socket at once: it says then whether it takes more."""

_MAX_ANSWER_HEADER_BYTES = 2**24
"""A server's trailers have the texts of its errors."""


PING_BYTES = 8

TakeFrame = Callable[[int, int, bytes], None]
"""Takes a frame: its stream, its flags, its payload."""


class Connection(asyncio.Protocol):
    """One side of a connection; streams are opened by the client."""

    def __init__(self, *, is_client: bool) -> None:
        self.is_client = is_client
        self.streams: dict[int, Stream] = {}
        self.initial_send_window = self.send_window = frames.DEFAULT_WINDOW
        self.is_full = False
        """True while the socket takes nothing more."""
        self.is_leaving = False
        """True once the peer takes no more streams, or is gone."""
        self.last_stream = 0
        self._transport: asyncio.Transport | None = None
        self._rest = b"" if is_client else None
        """The start of a frame; None before the preface of a client."""
        self._preface = b""
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._receiving = False
        self._unacknowledged = 0
        self._most_headers = _MAX_ANSWER_HEADER_BYTES if is_client else MAX_METADATA_BYTES
        """Bytes of one list of headers."""
        self._encoder, self._decoder = Encoder(), Decoder(self._most_headers)
        self._block: tuple[int, int, bytes] | None = None
        """A header block that is not whole yet: its stream, its flags, its bytes."""
        self._takers: Mapping[int, TakeFrame] = {
            frames.HEADERS: self._take_headers,
            frames.RST_STREAM: self._take_reset,
            frames.SETTINGS: self._take_settings,
            frames.PUSH_PROMISE: self._take_promise,
            frames.PING: self._take_ping,
            frames.GOAWAY: self._take_goaway,
            frames.WINDOW_UPDATE: self._take_window,
            frames.CONTINUATION: self._continue_block,
        }

    @abstractmethod
    def accept(self, number: int, headers: list[Header]) -> Stream:
        """Make the stream that a client opened with these headers."""

    # -- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with our settings."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        settings = {
            frames.INITIAL_WINDOW_SIZE: RECEIVE_WINDOW,
            frames.MAX_HEADER_LIST_SIZE: self._most_headers,
        }
        first = [
            frames.PREFACE if self.is_client else b"",
            frames.settings(settings),
            frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW),
        ]
        self._outgoing = [*first, *self._outgoing]
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all streams."""
        self.is_leaving = True
        self._transport = None
        for stream in list(self.streams.values()):
            stream.close()
            stream.take_end(ErrorCode.CONNECT_ERROR)

    def pause_writing(self) -> None:
        """The socket takes nothing more."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It does again."""
        self.is_full = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take what came, and send what that leads to in one go."""
        self._receiving = True
        try:
            self._take(data)
        except ConnectionFailed as failure:
            self._fail(failure)
        except HPACKError as error:
            self._fail(ConnectionFailed(ErrorCode.COMPRESSION_ERROR, str(error)))
        finally:
            self._receiving = False
        self._flush()

    def eof_received(self) -> bool:
        """The peer is gone: streams need both directions."""
        return False

    def write(self, data: bytes) -> None:
        """Send frames, with all else that this turn of the event loop sends."""
        if not self._outgoing and not self._receiving:
            self._loop.call_soon(self._flush)
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)
        if self._outgoing_bytes >= FLUSH_BYTES:
            self._flush()

    def write_headers(self, number: int, headers: Sequence[Header], *, ended: bool) -> None:
        """Send headers."""
        block = self._encoder.encode(headers, huffman=False)
        self.write(frames.header_frames(number, block, ended=ended))

    def close(self) -> None:
        """End the connection once what was written is sent."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def leave(self) -> None:
        """Tell the peer that no more streams are taken."""
        self.write(frames.goaway(self.last_stream, ErrorCode.NO_ERROR))

    def forget(self, number: int) -> None:
        """A stream has closed."""
        self.streams.pop(number, None)

    def _flush(self) -> None:
        if self._outgoing and self._transport is not None:
            outgoing, self._outgoing, self._outgoing_bytes = self._outgoing, [], 0
            self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))

    def _go_on(self) -> None:
        for stream in list(self.streams.values()):
            stream.go_on()

    def _fail(self, failure: ConnectionFailed) -> None:
        logger.warning("a connection broke the protocol", extra={"why": str(failure)})
        self.write(frames.goaway(self.last_stream, failure.code))
        self.close()

    # -- frames

    def _take(self, data: bytes) -> None:
        if self._rest is None:
            data = self._without_preface(data)
            if self._rest is None:
                return
        if self._rest:
            data = self._rest + data
        position, end = 0, len(data)
        unpack, header_bytes = frames.HEADER.unpack_from, frames.HEADER_BYTES
        streams = self.streams
        while end - position >= header_bytes:
            word, flags, number = unpack(data, position)
            size = word >> 8
            if size > frames.MAX_FRAME_BYTES:
                raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            start = position + header_bytes
            position = start + size
            if position > end:
                position = start - header_bytes
                break
            payload = data[start:position]
            if word & 0xFF == frames.DATA and not self._block:
                self._take_data(streams, number, flags, payload)
            else:
                self._take_frame(word & 0xFF, flags, number & frames.MAX_WINDOW, payload)
        self._rest = data[position:]

    def _without_preface(self, data: bytes) -> bytes:
        self._preface += data
        size = len(frames.PREFACE)
        if not frames.PREFACE.startswith(self._preface[:size]):
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "no preface of HTTP/2")
        if len(self._preface) < size:
            return b""
        self._rest = b""
        rest, self._preface = self._preface[size:], b""
        return rest

    def _take_data(
        self, streams: dict[int, Stream], number: int, flags: int, payload: bytes
    ) -> None:
        size = len(payload)
        self._unacknowledged += size
        if self._unacknowledged >= CONNECTION_WINDOW // 2:
            self.write(frames.window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        stream = streams.get(number)
        if stream is None:
            self._check_known(number)
            return
        stream.receive_window -= size
        if stream.receive_window < 0:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window has")
        if stream.remote_ended:
            raise ConnectionFailed(ErrorCode.STREAM_CLOSED, "data after the end of a stream")
        if flags & frames.PADDED:
            payload = frames.without_padding(payload, flags)
            stream.acknowledge(size - len(payload))
        ended = flags & frames.END_STREAM != 0
        if ended:
            stream.remote_end()
        stream.take_data(payload, ended=ended)

    def _check_known(self, number: int) -> None:
        """Frames of a stream that we closed may be on their way; of one that never was there are none."""
        if number == 0 or (number > self.last_stream and not self.is_client):
            raise ConnectionFailed(
                ErrorCode.PROTOCOL_ERROR, f"data of stream {number}, which is none"
            )

    def _take_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block and kind != frames.CONTINUATION:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a frame between headers")
        take = self._takers.get(kind)
        if take is not None:  # frames of unknown types are to be passed over, and priorities
            take(number, flags, payload)

    def _take_headers(self, number: int, flags: int, payload: bytes) -> None:
        block = frames.without_padding(payload, flags)
        self._take_block(number, flags, frames.without_priority(block, flags))

    def _take_promise(self, number: int, flags: int, payload: bytes) -> None:
        raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a promise that nobody allowed")

    def _take_ping(self, number: int, flags: int, payload: bytes) -> None:
        if len(payload) != PING_BYTES:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "a ping of a wrong size")
        if not flags & frames.ACK:
            self.write(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _take_goaway(self, number: int, flags: int, payload: bytes) -> None:
        self.is_leaving = True

    def _take_settings(self, number: int, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        values = frames.read_settings(payload)
        if frames.HEADER_TABLE_SIZE in values:
            self._encoder.header_table_size = min(values[frames.HEADER_TABLE_SIZE], 4096)
        window = values.get(frames.INITIAL_WINDOW_SIZE, self.initial_send_window)
        if window > frames.MAX_WINDOW:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "a window over 2^31 - 1")
        for stream in self.streams.values():
            stream.send_window += window - self.initial_send_window
        self.initial_send_window = window
        self.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._go_on()

    def _take_window(self, number: int, flags: int, payload: bytes) -> None:
        size = frames.read_number(payload) & frames.MAX_WINDOW
        if size == 0:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a window that grows by nothing")
        if number == 0:
            self.send_window += size
            if self.send_window > frames.MAX_WINDOW:
                raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "a window over 2^31 - 1")
            self._go_on()
        elif (stream := self.streams.get(number)) is not None:
            stream.send_window += size
            if stream.send_window > frames.MAX_WINDOW:
                raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "a window over 2^31 - 1")
            stream.go_on()

    def _take_reset(self, number: int, flags: int, payload: bytes) -> None:
        code = frames.read_number(payload)
        stream = self.streams.get(number)
        if stream is not None:
            stream.close()
            stream.take_end(code)

    # -- headers

    def _continue_block(self, number: int, flags: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != number:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a continuation of nothing")
        _, first_flags, block = self._block
        self._block = None
        ends = flags & frames.END_HEADERS
        self._take_block(number, first_flags & ~frames.END_HEADERS | ends, block + payload)

    def _take_block(self, number: int, flags: int, block: bytes) -> None:
        if len(block) > 2 * self._most_headers:
            raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, "more headers than are taken")
        if not flags & frames.END_HEADERS:
            self._block = number, flags, block
            return
        headers: list[Header] = list(self._decoder.decode(block, raw=True))
        stream = self.streams.get(number)
        ended = flags & frames.END_STREAM != 0
        if stream is None:
            if self.is_client or number <= self.last_stream:  # it was closed meanwhile
                return
            if number % 2 == 0:
                raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a stream with an even number")
            self.last_stream = number
            stream = self.streams[number] = self.accept(number, headers)
        if ended:
            stream.remote_end()
        stream.take_headers(headers, ended=ended)
