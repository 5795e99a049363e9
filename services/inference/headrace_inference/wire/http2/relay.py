"""Streams that another server answers: what comes on one side goes out on the other."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from headrace_inference.wire.http2.call_headers import OPENING, status_trailers
from headrace_inference.wire.http2.connection import Connection
from headrace_inference.wire.http2.frames import ErrorCode
from headrace_inference.wire.http2.stream import Header, Stream


class RelayedStream(Stream):
    """One of two streams that belong together. A side is read as fast as the other takes it."""

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__(connection, number)
        self.other: RelayedStream | None = None
        self._waiting_bytes = 0
        """Of data that the other side has not sent yet."""
        self._has_begun = False
        """True once headers were sent."""

    def take_headers(self, headers: list[Header], *, ended: bool) -> None:
        """Hand them on; those that end the stream come after its data."""
        if self.other is None:
            self.refuse()
        elif ended:
            self.other.end(headers)
        else:
            self.other.send_headers(headers)

    def take_data(self, payload: bytes, *, ended: bool) -> None:
        """Hand them on."""
        if self.other is None:
            self.acknowledge(len(payload))
            return
        self._waiting_bytes += len(payload)
        self.other.send(payload, ended=ended)
        self.acknowledge_sent()

    def take_room(self) -> None:
        """The other side may send more."""
        if self.other is not None:
            self.other.acknowledge_sent()

    def take_end(self, code: int) -> None:
        """End the other side, too."""
        other, self.other = self.other, None
        if other is None:
            return
        other.other = None
        if code == ErrorCode.NO_ERROR:  # all that is to be told is on its way
            other.need_no_more()
        elif code == ErrorCode.CONNECT_ERROR:
            other.refuse()
        else:
            other.reset(ErrorCode(code) if code in set(ErrorCode) else ErrorCode.CANCEL)

    def join(self, other: RelayedStream) -> None:
        """Belong to this one."""
        self.other, other.other = other, self

    def send_headers(self, headers: Sequence[Header], *, ended: bool = False) -> None:
        """Send headers."""
        self._has_begun = True
        super().send_headers(headers, ended=ended)

    def refuse(self) -> None:
        """Nobody is there to answer: callers may try elsewhere."""
        if self.connection.is_client:
            self.reset(ErrorCode.CANCEL)
            return
        trailers = status_trailers(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")
        self.end(trailers if self._has_begun else (*OPENING[:2], *trailers))
        self.need_no_more()

    def acknowledge_sent(self) -> None:
        """Let the peer send as much more as the other side has sent."""
        if self._waiting_bytes and self.other is not None and not self.other.outgoing_bytes:
            size, self._waiting_bytes = self._waiting_bytes, 0
            self.acknowledge(size)
