"""Many connections that are slow, silent, half open or gone: the others do not notice."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.hostile.frames import (
    CALL,
    DATA,
    END_HEADERS,
    HEADERS,
    PREFACE,
    RESET,
    block,
    call,
    changed,
    connected,
    frame,
    message,
    settings,
)
from tests.hostile.messages import request, tensor
from tests.hostile.target import Target

pytestmark = pytest.mark.e2e

BEGIN = PREFACE + settings()
OPEN = frame(HEADERS, END_HEADERS, 1, block(CALL))
GOOD = request()
MANY = 120
"""As many as wait to be accepted at a time; with more the kernel lets some wait for a second."""
LARGE = request("wide", [tensor(shape=[1, 1, 250_000])], [bytes(1_000_000)])

HTTP_HEAD = b"POST /v2/models/scale/infer HTTP/1.1\r\nHost: x\r\n"
HALVES = {
    "nothing": ("grpc", b""),
    "half a preface": ("grpc", PREFACE[:11]),
    "a preface": ("grpc", PREFACE),
    "half a frame's head": ("grpc", BEGIN + b"\0\0"),
    "half a header block": ("grpc", BEGIN + OPEN[:-7]),
    "a call without its message": ("grpc", BEGIN + OPEN),
    "half a message": ("grpc", BEGIN + OPEN + frame(DATA, 0, 1, message(GOOD)[:-5])),
    "half a request line": ("http", b"POST /v2/mod"),
    "half a head": ("http", HTTP_HEAD),
    "half a body": ("http", HTTP_HEAD + b"Content-Length: 100\r\n\r\n{"),
    "half a chunk": ("http", HTTP_HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{"),
}


def _address(target: Target, protocol: str) -> str:
    return target.suite.inference if protocol == "grpc" else target.http_address("inference")


@contextlib.contextmanager
def crowd(address: str, sent: bytes, count: int = MANY) -> Iterator[list[socket.socket]]:
    """So many connections, each of which has sent this and says no more; reset on leaving."""
    host, _, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.sendall(sent)
            sockets.append(one)
        yield sockets


@pytest.mark.parametrize(("protocol", "sent"), HALVES.values(), ids=HALVES)
def test_half_open(target: Target, protocol: str, sent: bytes) -> None:
    """Hundreds of connections that stop half-way do not keep a good request waiting, nor does their end."""
    with crowd(_address(target, protocol), sent):
        target.assert_serves()


def test_half_open_by_the_hundred(target: Target) -> None:
    """Nor do 500 of them."""
    with crowd(target.suite.inference, BEGIN + OPEN[:-7], 500):
        target.assert_serves()


def test_calls_that_are_dropped(target: Target) -> None:
    """Callers that go once they have sent their requests are not missed."""
    calls = BEGIN + b"".join(call(GOOD, stream=number) for number in range(1, 99, 2))
    with crowd(target.suite.inference, calls, 60):
        target.assert_serves()


def test_large_calls_that_are_dropped_half_way(target: Target) -> None:
    """What arrived of messages that never become whole is given back."""
    half = frame(DATA, 0, 1, message(LARGE)[:16_000]) * 3
    with crowd(target.suite.inference, BEGIN + OPEN + half, 200):
        target.assert_serves()


def test_rapid_resets(target: Target) -> None:
    """A caller that opens and resets calls without end is cut off, or gets nothing for it."""
    storm = b"".join(
        frame(HEADERS, END_HEADERS, number, block(CALL)) + frame(RESET, 0, number, bytes(4))
        for number in range(1, 8001, 2)
    )
    with connected(target.suite.inference) as connection:
        connection.send(BEGIN + storm)
        if target.front == "native":
            assert "goaway 11" == connection.outcome()
        else:
            connection.wait_for_ping()


def test_slow_readers(target: Target) -> None:
    """Callers that do not read megabytes of answers hold their own answers only."""
    packed = gzip.compress(LARGE, 1)
    headers = changed(b"grpc-encoding", b"gzip")
    calls = b"".join(call(packed, headers, number, compressed=1) for number in range(1, 21, 2))
    with crowd(target.suite.inference, PREFACE + settings((4, 0)) + calls, 10):
        target.assert_serves()


def test_unread_answers(target: Target) -> None:
    """Answers that nobody reads are bounded by what was asked on one connection."""
    small = b"".join(call(GOOD, stream=number) for number in range(1, 201, 2))
    with crowd(target.suite.inference, PREFACE + settings((4, 0)) + small, 20):
        target.assert_serves()


def test_unread_http(target: Target) -> None:
    """The same over HTTP: requests by the hundred whose answers stay unread."""
    get = b"GET /v2/models/scale/config HTTP/1.1\r\nHost: x\r\n\r\n" * 200
    with crowd(target.http_address("inference"), get, 20):
        target.assert_serves()


def test_one_byte_at_a_time(target: Target) -> None:
    """A call that comes byte by byte is served."""
    with connected(target.suite.inference) as connection:
        for byte in BEGIN + call(GOOD):
            connection.send(bytes([byte]))
        assert "grpc 0" == connection.outcome()


SERVICES: dict[str, Callable[[Target], str]] = {
    "registry": lambda target: target.suite.registry,
    "monitor": lambda target: target.suite.monitor,
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "sent",
    [b"", b"\xff" * 500, PREFACE, BEGIN + OPEN],
    ids=["nothing", "garbage", "preface", "call"],
)
def test_half_open_elsewhere(target: Target, service: str, sent: bytes) -> None:
    """Registry and monitor go on, too."""
    with crowd(SERVICES[service](target), sent, 100):
        target.assert_serves()
