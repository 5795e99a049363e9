"""One stream of a connection: what is sent on it, within the windows of flow control."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace_inference.wire.http2 import frames
from headrace_inference.wire.http2.frames import ErrorCode

if TYPE_CHECKING:
    from headrace_inference.wire.http2.connection import Connection

Header = tuple[bytes, bytes]
RECEIVE_WINDOW = 262_144
"""What a peer may send on a stream before it was looked at."""


class Stream(ABC):
    """One stream. Whoever makes it for the peer's headers takes what comes."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.send_window = connection.initial_send_window
        self.remote_ended = False
        self.is_closed = False
        self.receive_window = RECEIVE_WINDOW
        self._unacknowledged = 0
        self._outgoing: deque[memoryview] = deque()
        self._ends_after: Sequence[Header] | None = None
        """Trailers that follow what is outgoing; none: the end alone."""
        self._local_ended = False
        self._needs_no_more = False

    @abstractmethod
    def take_headers(self, headers: list[Header], *, ended: bool) -> None:
        """The peer's headers have come, or its trailers."""

    @abstractmethod
    def take_data(self, payload: bytes, *, ended: bool) -> None:
        """Data have come. Whoever is done with them says so: `acknowledge`."""

    @abstractmethod
    def take_end(self, code: int) -> None:
        """The stream is over: reset by the peer, or its connection is lost."""

    @abstractmethod
    def take_room(self) -> None:
        """All that was outgoing is sent."""

    @property
    def outgoing_bytes(self) -> int:
        """Count what waits for a window."""
        return sum(map(len, self._outgoing))

    @property
    def can_send(self) -> bool:
        """Tell whether data would go out at once, as far as windows go."""
        return not (
            self._outgoing
            or self._local_ended
            or self.is_closed
            or self.send_window <= 0
            or self.connection.send_window <= 0
            or self.connection.is_full
        )

    def acknowledge(self, size: int) -> None:
        """So many bytes were taken care of: the peer may send as many more."""
        self._unacknowledged += size
        if self._unacknowledged >= RECEIVE_WINDOW // 2 and not (
            self.remote_ended or self.is_closed
        ):
            self.connection.write(frames.window_update(self.number, self._unacknowledged))
            self.receive_window += self._unacknowledged
            self._unacknowledged = 0

    def send_headers(self, headers: Sequence[Header], *, ended: bool = False) -> None:
        """Send headers, which come before all else."""
        if self.is_closed or self._local_ended:
            return
        self._local_ended = ended
        self.connection.write_headers(self.number, headers, ended=ended)
        if ended:
            self._close_if_done()

    def send(self, *data: bytes, ended: bool = False) -> None:
        """Send data, as the windows allow; and the end after them."""
        if self.is_closed or self._local_ended:
            return
        self._outgoing.extend([memoryview(part) for part in data if part])
        if ended:
            self._ends_after = ()
        self._send_outgoing()

    def end(self, trailers: Sequence[Header] = ()) -> None:
        """End this side, after what is outgoing."""
        if self.is_closed or self._local_ended:
            return
        self._ends_after = trailers
        self._send_outgoing()

    def need_no_more(self) -> None:
        """The peer need not send the rest: the stream is over once this side has ended."""
        self._needs_no_more = True
        self._close_if_done()

    def reset(self, code: ErrorCode) -> None:
        """Have it end at once."""
        if not self.is_closed:
            self.connection.write(frames.reset(self.number, code))
            self.close()

    def go_on(self) -> None:
        """Send what waited for a window, or for the socket."""
        self._send_outgoing()
        if self.can_send:
            self.take_room()

    def _send_outgoing(self) -> None:
        outgoing, connection = self._outgoing, self.connection
        while outgoing and self.send_window > 0 and connection.send_window > 0:
            if connection.is_full:
                return
            self._send_part(outgoing)
        if self._ends_after is not None and not (outgoing or self._local_ended or self.is_closed):
            self._send_end(self._ends_after)

    def _send_part(self, outgoing: deque[memoryview]) -> None:
        part = outgoing.popleft()
        size = min(len(part), self.send_window, self.connection.send_window, frames.MAX_FRAME_BYTES)
        if size < len(part):
            outgoing.appendleft(part[size:])
        self.send_window -= size
        self.connection.send_window -= size
        last = self._ends_after is not None and not self._ends_after and not outgoing
        flags = frames.END_STREAM if last else 0
        self.connection.write(frames.frame(frames.DATA, flags, self.number, part[:size]))
        if last:
            self._local_ended = True
            self._close_if_done()

    def _send_end(self, trailers: Sequence[Header]) -> None:
        self._local_ended = True
        if trailers:
            self.connection.write_headers(self.number, trailers, ended=True)
        else:
            self.connection.write(frames.frame(frames.DATA, frames.END_STREAM, self.number))
        self._close_if_done()

    def remote_end(self) -> None:
        """The peer sends nothing more."""
        self.remote_ended = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.is_closed or not self._local_ended:
            return
        if self.remote_ended:
            self.close()
        elif self._needs_no_more:
            self.reset(ErrorCode.NO_ERROR)

    def close(self) -> None:
        """Nothing more is sent or taken."""
        self.is_closed = True
        self._outgoing.clear()
        self.connection.forget(self.number)
