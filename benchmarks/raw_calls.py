"""Many gRPC calls from one thread at little cost: streams in both directions, and callers of many models.

A closed loop over one HTTP/2 connection a 16 callers, with frames that are laid out once. h2load can
neither answer on a stream that is open nor give each caller a message of its own, and perf_analyzer takes
more of the cores than the server that it measures. Nothing of a header is read: an answer is good if it is
a message that is no error.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.load import PATH, Load, grpc_frame
from benchmarks.request_bodies import PATH_OF_STREAM

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK, _PADDED = 1, 4, 1, 8
_LARGEST_FRAME = 2**14
_LARGEST_WINDOW = 2**31 - 1
_INITIAL_WINDOW = 2**16 - 1
_INFER_RESPONSE = 0x12
"""The first byte of a ModelStreamInferResponse without an error message: field 2, a message."""

CALLERS_PER_CONNECTION = 16
DRAIN_SECONDS = 30.0


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame."""
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def headers(path: str, authority: str) -> bytes:
    """The header block of a gRPC call, all literals."""
    fields = (
        *((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", authority)),
        *(("content-type", "application/grpc"), ("te", "trailers")),
    )
    return b"".join(_literal(name, value) for name, value in fields)


def _literal(name: str, value: str) -> bytes:
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


@dataclass(slots=True)
class Caller:
    """One request in flight: its messages, one after the other, its stream, and when it was sent."""

    messages: Iterator[bytes]
    stream: int = 0
    sent: float = 0.0
    received: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Tally:
    """When answers came, how long each took, and how many were none."""

    ends: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    failures: int = 0

    def load(self, until: float) -> Load:
        """The figures of the answers up to a time; the rate is over that time, from the first on."""
        if self.failures:
            raise RuntimeError(f"{self.failures} calls were not answered well")
        p50, p99 = np.percentile(self.took, [50, 99]) * 1e3
        within = sum(end <= until for end in self.ends)
        rate = (within - 1) / max(until - self.ends[0], 1e-9)
        return Load(len(self.ends), rate, float(p50), float(p99))


class Connection:
    """One HTTP/2 connection with its callers; subclasses say what a call is."""

    def __init__(self, address: str, callers: Sequence[Caller], path: str, tally: Tally) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._block = headers(path, address)
        self._callers = callers
        self._tally = tally
        self._by_stream: dict[int, Caller] = {}
        self._in = bytearray()
        self._out: list[bytes] = []
        self._window = _INITIAL_WINDOW
        self._stream_window = _INITIAL_WINDOW
        self._windows: dict[int, int] = {}
        self._held: deque[tuple[int, bytes, int]] = deque()
        self._next_stream = 1
        self.outstanding = 0
        self.going_on = True
        settings = struct.pack(">HIHI", 1, 0, 4, _LARGEST_WINDOW)
        self._out.append(_PREFACE + frame(_SETTINGS, 0, 0, settings))
        grown = struct.pack(">I", _LARGEST_WINDOW - _INITIAL_WINDOW)
        self._out.append(frame(_WINDOW, 0, 0, grown))
        self.flush()

    def start(self) -> None:
        """Send the first request of every caller."""
        for caller in self._callers:
            self.send(caller)
        self.flush()

    def send(self, caller: Caller) -> None:
        """Send a caller's request."""
        raise NotImplementedError

    def ended(self, caller: Caller) -> None:
        """Note that the caller's stream is at its end."""
        raise NotImplementedError

    def message(self, caller: Caller) -> bool:
        """Note that a message has come, and return whether that answers the request."""
        raise NotImplementedError

    def open_stream(self, caller: Caller) -> None:
        """Begin a stream for a caller."""
        caller.stream = self._next_stream
        self._next_stream += 2
        self._by_stream[caller.stream] = caller
        self._windows[caller.stream] = self._stream_window
        self._out.append(frame(_HEADERS, _END_HEADERS, caller.stream, self._block))

    def send_data(self, stream: int, data: bytes, last: int) -> None:
        """Send data, as soon as the windows let it."""
        self.outstanding += 1
        self._held.append((stream, data, last))
        self._send_held()

    def _send_held(self) -> None:
        while self._held:
            stream, data, last = self._held[0]
            room = min(self._window, self._windows[stream], _LARGEST_FRAME)
            if room < min(len(data), _LARGEST_FRAME):
                return
            piece, rest = data[:room], data[room:]
            self._window -= len(piece)
            self._windows[stream] -= len(piece)
            self._out.append(frame(_DATA, 0 if rest else last, stream, piece))
            self._held.popleft()
            if rest:
                self._held.appendleft((stream, rest, last))

    def flush(self) -> None:
        """Hand what is to be sent to the kernel."""
        if self._out:
            self.socket.sendall(b"".join(self._out))
            self._out.clear()

    def receive(self) -> None:
        """Take what has come, and send the next request of each caller that is answered."""
        chunk = self.socket.recv(2**18)
        if not chunk:
            raise RuntimeError("the server closed the connection")
        self._in += chunk
        at, now = 0, time.perf_counter()
        while len(self._in) - at >= 9:
            head, flags, stream = struct.unpack_from(">IBI", self._in, at)
            end = at + 9 + (head >> 8)
            if end > len(self._in):
                break
            self._take(head & 255, flags, stream, bytes(self._in[at + 9 : end]), now)
            at = end
        del self._in[:at]
        self.flush()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, now: float) -> None:
        caller = self._by_stream.get(stream)
        if caller is None or kind not in (_DATA, _HEADERS):
            self._control(kind, flags, stream, payload)
            return
        if kind == _DATA:
            self._take_data(caller, payload, now)
        if flags & _END_STREAM:
            del self._by_stream[stream], self._windows[stream]
            self.ended(caller)
            if self.going_on:
                self.send(caller)

    def _take_data(self, caller: Caller, payload: bytes, now: float) -> None:
        caller.received += payload
        while len(caller.received) >= 5:
            length = 5 + int.from_bytes(caller.received[1:5])
            if len(caller.received) < length:
                return
            if self.message(caller):
                self._answered(caller, now)
            del caller.received[:length]

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            if kind == _SETTINGS:
                self._set(payload)
            self._out.append(frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _WINDOW:
            self._widen(stream, int.from_bytes(payload))
        elif kind in (_RESET, _GOAWAY):
            raise RuntimeError(f"the server ended the call or the connection: frame {kind}")

    def _answered(self, caller: Caller, now: float) -> None:
        self.outstanding -= 1
        self._tally.ends.append(now)
        self._tally.took.append(now - caller.sent)
        self.after_answer(caller)

    def after_answer(self, caller: Caller) -> None:
        """Send the next request, where the stream stays open."""

    def fail(self) -> None:
        """Count a request that got no good answer."""
        self.outstanding -= 1
        self._tally.failures += 1

    def _set(self, payload: bytes) -> None:
        for key, value in struct.iter_unpack(">HI", payload):
            if key == 4:
                grown = value - self._stream_window
                self._stream_window = value
                self._windows = {each: room + grown for each, room in self._windows.items()}
        self._send_held()

    def _widen(self, stream: int, by: int) -> None:
        if stream == 0:
            self._window += by
        elif stream in self._windows:
            self._windows[stream] += by
        self._send_held()


class UnaryConnection(Connection):
    """A call of ModelInfer for each request."""

    def send(self, caller: Caller) -> None:
        """Begin a call with its whole request."""
        self.open_stream(caller)
        caller.sent = time.perf_counter()
        caller.received.clear()
        self.send_data(caller.stream, next(caller.messages), _END_STREAM)

    def message(self, caller: Caller) -> bool:
        """Take a message for the answer: a call that fails has none."""
        caller.stream = 0
        return True

    def ended(self, caller: Caller) -> None:
        """Count a failure where no message has come."""
        if caller.stream:
            self.fail()


class StreamConnection(Connection):
    """A call of ModelStreamInfer for each caller, which sends one request after the other on it."""

    def send(self, caller: Caller) -> None:
        """Send a request, on a new stream where there is none."""
        if not caller.stream:
            self.open_stream(caller)
        caller.sent = time.perf_counter()
        self.send_data(caller.stream, next(caller.messages), 0)

    def message(self, caller: Caller) -> bool:
        """Take an answer that is no error."""
        if caller.received[5] != _INFER_RESPONSE:
            self.fail()
            return False
        return True

    def after_answer(self, caller: Caller) -> None:
        """Send the next request."""
        if self.going_on:
            self.send(caller)

    def ended(self, caller: Caller) -> None:
        """Count a failure: streams end when we close them."""
        caller.stream = 0
        self.fail()


def run_unary(address: str, turns: Sequence[Sequence[bytes]], seconds: float) -> Load:
    """Callers of ModelInfer, each with one request in flight: its messages in turn, again and again."""
    return _run(UnaryConnection, address, PATH, turns, seconds)


def run_streams(address: str, message: bytes, in_flight: int, seconds: float) -> Load:
    """So many streams of ModelStreamInfer, each with one request in flight."""
    return _run(StreamConnection, address, PATH_OF_STREAM, [[message]] * in_flight, seconds)


def _run(
    kind: type[Connection],
    address: str,
    path: str,
    turns: Sequence[Sequence[bytes]],
    seconds: float,
) -> Load:
    tally = Tally()
    callers = [Caller(itertools.cycle([grpc_frame(each) for each in turn])) for turn in turns]
    with selectors.DefaultSelector() as selector:
        connections = [
            kind(address, callers[start : start + CALLERS_PER_CONNECTION], path, tally)
            for start in range(0, len(callers), CALLERS_PER_CONNECTION)
        ]
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.start()
        end = time.perf_counter() + seconds
        while sum(each.outstanding for each in connections):
            if time.perf_counter() > end:
                for connection in connections:
                    connection.going_on = False
            if time.perf_counter() > end + DRAIN_SECONDS:
                raise RuntimeError("requests were not answered")
            for key, _ in selector.select(1.0):
                key.data.receive()
        for connection in connections:
            connection.socket.close()
    return tally.load(end)
