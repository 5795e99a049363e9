"""A call of ModelStreamInfer as a stream of HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from struct import Struct

import grpc

from headrace.errors import HeadraceError, Internal
from headrace_inference.wire.http2 import frames
from headrace_inference.wire.http2.call_headers import (
    ENCODINGS,
    OPENING,
    error_trailers,
    metadata_of,
    ok_trailers,
    seconds_left,
    status_trailers,
    value_of,
)
from headrace_inference.wire.http2.connection import Connection
from headrace_inference.wire.http2.frames import ErrorCode
from headrace_inference.wire.http2.message_reader import MessageReader, is_known
from headrace_inference.wire.http2.stream import Header, Stream
from headrace_inference.wire.streams.session import StreamService, StreamSession

_DATA_FRAME = Struct(">IBIBI")
"""The head of a frame, and that of the one message in it."""
_MESSAGE = Struct(">BI")
_JOINED_BYTES = frames.MAX_FRAME_BYTES - _MESSAGE.size


class StreamCall(Stream):
    """One call: messages in, messages out, and its status at the end."""

    def __init__(self, connection: Connection, number: int, service: StreamService) -> None:
        super().__init__(connection, number)
        self._service = service
        self._session: StreamSession | None = None
        self._reader = MessageReader(service.limits)
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = False
        """True once our headers are sent."""
        self._is_stopping = False
        self._is_reading = False
        self._unread_bytes = 0
        """Bytes that came and are not acknowledged: nothing is while no other request may come."""
        self._held_bytes = 0

    def take_headers(self, headers: list[Header], *, ended: bool) -> None:
        """Open the stream of requests, or refuse the call."""
        if self._session is not None:  # trailers, of which gRPC has none
            self.take_data(b"", ended=ended)
            return
        encoding = value_of(headers, b"grpc-encoding")
        if not is_known(encoding):
            self._finish(_unknown(encoding), (b"grpc-accept-encoding", ENCODINGS))
            return
        try:
            seconds = seconds_left(headers)
        except ValueError:
            self._finish(status_trailers(grpc.StatusCode.INTERNAL, "grpc-timeout is no time"))
            return
        self._reader = MessageReader(self._service.limits, encoding)
        deadline = self._service.deadline_ns(seconds)
        self._session = self._service.open(metadata_of(headers), deadline, self._write)
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._expire)
        if self._service.options.stopping.is_set():
            self.stop()
        elif ended:
            self._session.end()
            self._end_if_answered()

    def take_data(self, payload: bytes, *, ended: bool) -> None:
        """Take what messages came."""
        if self.is_closed or self._session is None or self._is_stopping:
            self.acknowledge(len(payload))
            return
        if self._session.is_refused:
            self.acknowledge(len(payload))
            self._session.end()
            return
        message = self._reader.whole(payload) if self._session.has_room else None
        if message is not None:  # one frame, one message: what most callers send
            self._session.put(message)
            self.acknowledge(len(payload))
        else:
            self._unread_bytes += len(payload)
            self._reader.add(payload)
            self._read(self._session)
        if ended:
            self._end_if_answered()

    def take_end(self, code: int) -> None:
        """Its caller is gone."""
        self._drop()

    def take_room(self) -> None:
        """Go on writing: what waited for windows is sent."""
        self._release_outgoing()
        self._write()

    def stop(self) -> None:
        """The replica ends: read nothing more, and end once what came is answered."""
        self._is_stopping = True
        self._end_if_answered()

    def _read(self, session: StreamSession) -> None:
        if self._is_reading:  # whoever does goes on
            return
        self._is_reading = True
        try:
            while session.has_room and (message := self._reader.take()) is not None:
                session.put(message)
        except HeadraceError as error:
            self._fail(error)
        finally:
            self._is_reading = False
        if session.has_room:  # what is left is a part of a message
            self.acknowledge(self._unread_bytes)
            self._unread_bytes = 0

    def _write(self) -> None:
        session = self._session
        if session is None:
            return
        try:
            while self.can_send and (message := session.take()) is not None:
                self._send_message(message)
        except HeadraceError as error:
            self._fail(error)
            return
        if not self._reader.is_empty and not self._is_stopping:
            self._read(session)
        self._end_if_answered()

    def _send_message(self, message: bytes) -> None:
        if not self._is_open:
            self._is_open = True
            self.send_headers(OPENING)
        size = len(message) + _MESSAGE.size
        connection = self.connection
        if len(message) > _JOINED_BYTES or size > self.send_window or size > connection.send_window:
            self.send(_MESSAGE.pack(0, len(message)), message)
            self._hold_outgoing()
            return
        self.send_window -= size
        connection.send_window -= size
        connection.write(_DATA_FRAME.pack(size << 8, 0, self.number, 0, len(message)))
        connection.write(message)

    def _hold_outgoing(self) -> None:
        """Hold what waits for a window: callers who do not read must not make the process grow."""
        held = self.outgoing_bytes
        self._service.budget.hold_answers(held - self._held_bytes)
        self._held_bytes = held

    def _release_outgoing(self) -> None:
        if self._held_bytes:
            self._service.budget.release(0, self._held_bytes)
            self._held_bytes = 0

    def _end_if_answered(self) -> None:
        session = self._session
        if session is None or self._is_reading or not session.is_answered:
            return
        if self._is_stopping:
            self._fail(self._service.stopping())
        elif self.remote_ended and not self._reader.is_empty:
            self._fail(Internal("MALFORMED_REQUEST", "the call ended within a message"))
        elif self.remote_ended:
            self._finish(ok_trailers())

    def _expire(self) -> None:
        error = status_trailers(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        self._finish(error)
        if self.outgoing_bytes:  # it does not read, and never will
            self.reset(ErrorCode.CANCEL)

    def _fail(self, error: HeadraceError) -> None:
        self._finish(error_trailers(error))

    def _finish(self, trailers: Sequence[Header], *more: Header) -> None:
        """End the call, after what was written, and drop what is not answered."""
        self._drop()
        if self._is_open:
            self.end(trailers)
        else:
            self.send_headers((*OPENING[:2], *trailers, *more), ended=True)
        self.need_no_more()

    def close(self) -> None:
        """Hold nothing any more."""
        super().close()
        self._release_outgoing()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if session is not None:
            session.leave()


def _unknown(encoding: bytes) -> Sequence[Header]:
    text = f"Compression algorithm '{encoding.decode('latin-1')}' is not enabled."
    return status_trailers(grpc.StatusCode.UNIMPLEMENTED, text)
