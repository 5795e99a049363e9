"""HTTP/2 by hand: a connection on which any bytes can be sent, and what the server makes of them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import hpack

from tests.hostile.messages import INFER

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8
ANSWER_SECONDS = 10.0
MAX_FRAME_BYTES = 16_384

Header = tuple[bytes, bytes]

CALL: tuple[Header, ...] = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", INFER.encode()),
    (b":authority", b"localhost"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
)
"""The headers of a call to ModelInfer."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame whose length is true."""
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


def settings(*pairs: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def block(headers: Sequence[Header]) -> bytes:
    """A header block without compression."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def _text(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, size = len(text) - 127, b"\x7f"
    while rest >= 128:
        size += bytes([rest % 128 + 128])
        rest //= 128
    return size + bytes([rest]) + text


def bomb() -> bytes:
    """A header block of 8 kB that stands for 16 MB: one long header, and 4,000 times its index."""
    return block(CALL) + b"\x40" + _text(b"x") + _text(b"y" * 4000) + b"\xbe" * 4000


def message(payload: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A gRPC message behind its five bytes, which may lie."""
    return struct.pack(">BI", compressed, len(payload) if length is None else length) + payload


def call(
    payload: bytes,
    headers: Sequence[Header] = CALL,
    stream: int = 1,
    *,
    end: int = END_STREAM,
    compressed: int = 0,
    length: int | None = None,
) -> bytes:
    """The frames of a whole call whose message fits one DATA frame."""
    data = message(payload, compressed=compressed, length=length)
    return head(headers, stream) + frame(DATA, end, stream, data)


def head(headers: Sequence[Header], stream: int) -> bytes:
    """The headers of a call, in as many frames as they need."""
    fields = block(headers)
    parts = [fields[at : at + MAX_FRAME_BYTES] for at in range(0, len(fields), MAX_FRAME_BYTES)]
    kinds = [HEADERS] + [CONTINUATION] * (len(parts) - 1)
    ends = [0] * (len(parts) - 1) + [END_HEADERS]
    return b"".join(
        frame(kind, flags, stream, part)
        for kind, flags, part in zip(kinds, ends, parts, strict=True)
    )


def changed(name: bytes, value: bytes | None) -> tuple[Header, ...]:
    """The headers of a call with another value of one, without it (None), or with one more."""
    if value is None:
        return tuple(header for header in CALL if header[0] != name)
    if name in dict(CALL):
        return tuple((key, value if key == name else old) for key, old in CALL)
    return (*CALL, (name, value))


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Connection:
    """A connection to a server of HTTP/2, begun with nothing."""

    def __init__(self, plain: socket.socket) -> None:
        self._socket = plain
        self._decoder = hpack.Decoder()
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send these bytes, if the server still takes any."""
        try:
            self._socket.sendall(data)
        except OSError:
            return

    def frames(self) -> Iterator[Frame]:
        """What comes, until the server closes the connection. Raises TimeoutError where nothing comes."""
        while (head := self._take(9)) is not None:
            length = int.from_bytes(head[:3], "big")
            payload = self._take(length)
            if payload is None:
                return
            yield Frame(head[3], head[4], int.from_bytes(head[5:9], "big"), payload)

    def outcome(self, stream: int = 1) -> str:
        """What became of a call: `grpc 3`, `http 415`, `reset 1`, `goaway 1` or `closed`."""
        status, ended = "", ""
        for came in self.frames():
            if came.kind == SETTINGS and not came.flags & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            elif came.kind == GOAWAY and (code := int.from_bytes(came.payload[4:8], "big")):
                return f"goaway {code}"
            elif came.kind == HEADERS:
                status = self._status(came) or status if came.stream == stream else status
            elif came.kind == RESET and came.stream == stream:
                ended = f"reset {int.from_bytes(came.payload[:4], 'big')}"
            if came.stream == stream and (came.flags & END_STREAM and came.kind in (DATA, HEADERS)):
                return status
            if ended:
                return ended if not status.startswith("grpc") else status
        return status or "closed"

    def wait_for_ping(self) -> None:
        """See that the connection still lives. Raises TimeoutError, AssertionError."""
        token = b"alive..!"
        self.send(frame(PING, 0, 0, token))
        for came in self.frames():
            if came.kind == PING and came.flags & ACK and came.payload == token:
                return
        raise AssertionError("the connection was closed")

    def _status(self, came: Frame) -> str:
        decoded = self._decoder.decode(came.payload, raw=True)
        headers = {bytes(name): bytes(value) for name, value in decoded}
        if b"grpc-status" in headers:
            return f"grpc {headers[b'grpc-status'].decode()}"
        return f"http {headers[b':status'].decode()}" if b":status" in headers else ""

    def _take(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            try:
                came = self._socket.recv(65536)
            except ConnectionError:
                return None
            if not came:
                return None
            self._buffer += came
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


@contextmanager
def connected(address: str) -> Iterator[Connection]:
    """A connection to host:port, closed on leaving."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as plain:
        yield Connection(plain)
