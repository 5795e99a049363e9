"""Writes to a connection over TLS in pieces, so that what its client does not read is known.

asyncio's TLS encrypts what it is given at once and hands it on: it says that it waits for nobody while
megabytes wait in the transport below. In pieces it says so in time; the rest waits here, and is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, cast

PIECE_BYTES = 131_072
_HIGH_WATER_BYTES = 65_536


class PacedProtocol(asyncio.Protocol):
    """Stands between TLS and a protocol, which gets a transport that writes in pieces."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._transport: PacedTransport | None = None
        self.data_received = inner.data_received  # type: ignore[method-assign]  # nothing in between

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over."""
        self._transport = PacedTransport(cast("asyncio.Transport", transport), self._inner)
        self._inner.connection_made(self._transport)

    def pause_writing(self) -> None:
        """TLS waits for the client."""
        if self._transport is not None:
            self._transport.pause()

    def resume_writing(self) -> None:
        """TLS can take more."""
        if self._transport is not None:
            self._transport.resume()

    def eof_received(self) -> bool | None:
        """The client has ended TLS."""
        return self._inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended."""
        if self._transport is not None:
            self._transport.drop()
            self._inner.connection_lost(error)


class PacedTransport(asyncio.Transport):
    """A transport over TLS whose protocol is told to pause as soon as anything waits."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._below = transport
        self._protocol = protocol
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._is_paused = self._has_told = self._closes = False
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it, or keep it until the client has read what is before it."""
        if len(data) <= PIECE_BYTES and not self._waiting and not self._is_paused:
            self._below.write(data)
        else:
            self.writelines([data])

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """The same with several parts."""
        for data in list_of_data:
            view = memoryview(data).cast("B")
            self._waiting_bytes += len(view)
            for start in range(0, len(view), PIECE_BYTES):
                self._waiting.append(view[start : start + PIECE_BYTES])
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self._is_paused:
            piece = self._waiting.popleft()
            self._waiting_bytes -= len(piece)
            self._below.write(piece)
        if self._waiting and not self._has_told:
            self._has_told = True
            self._protocol.pause_writing()
        elif not self._waiting and self._has_told and not self._is_paused:
            self._has_told = False
            self._protocol.resume_writing()
        if self._closes and not self._waiting:
            self._below.close()

    def pause(self) -> None:
        """TLS waits for the client."""
        self._is_paused = True
        if not self._has_told:
            self._has_told = True
            self._protocol.pause_writing()

    def resume(self) -> None:
        """TLS can take more."""
        self._is_paused = False
        self._go_on()

    def drop(self) -> None:
        """Keep nothing: nobody is there to read it."""
        self._waiting.clear()
        self._waiting_bytes = 0

    def get_write_buffer_size(self) -> int:
        """What the client has not read, as far as that is known."""
        return self._waiting_bytes + self._below.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """TLS has no half of a connection."""
        return False

    def close(self) -> None:
        """End it, once what waits was sent."""
        self._closes = True
        if not self._waiting and not self._below.is_closing():
            self._below.close()

    def is_closing(self) -> bool:
        """Return whether it ends."""
        return self._closes or self._below.is_closing()

    def abort(self) -> None:
        """End it at once."""
        self.drop()
        self._below.abort()

    def pause_reading(self) -> None:
        """Read no more."""
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._below.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What TLS knows."""
        return self._below.get_extra_info(name, default)
