"""Connections that speak no HTTP/2, or speak it wrong: what each front makes of them, and that it goes on.

What is wrong below a call is answered by the packages that the fronts are made of, each in its way: with
an error of the connection or of the stream, or by closing. gRPC's own rules make INTERNAL (13) the status
of a message that cannot be unpacked or that is cut off. Headers over its limit are answered by grpcio with
RESOURCE_EXHAUSTED (8) if it knows of it before the call is answered, or, when the machine is busy, about
once in twenty times not at all.
"""

from __future__ import annotations

import struct

import pytest

from tests.hostile import frames
from tests.hostile.frames import (
    ACK,
    CALL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH,
    RESET,
    SETTINGS,
    WINDOW,
    Connection,
    block,
    call,
    changed,
    connected,
    frame,
    message,
    settings,
)
from tests.hostile.messages import INFER, request
from tests.hostile.target import Target

pytestmark = pytest.mark.e2e

Row = tuple[str, bytes, str, str]
"""What it is, what is sent, and what becomes of it on the native front and on grpcio's."""

GOOD = request()
BEGIN = PREFACE + settings()
BOTH = END_HEADERS | END_STREAM
OPEN = frame(HEADERS, END_HEADERS, 1, block(CALL))
IGNORED = "ignored"

OTHER_PROTOCOLS: list[Row] = [
    ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "closed", "closed"),
    ("HTTP/1.1 of the path", b"POST " + INFER.encode() + b" HTTP/1.1\r\n\r\n", "closed", "closed"),
    ("TLS", bytes.fromhex("1603010200") + bytes(200), "closed", "closed"),
    ("zeros", bytes(4096), "closed", "closed"),
    ("ones", b"\xff" * 4096, "closed", "closed"),
    ("another preface", PREFACE.replace(b"SM", b"XX") + settings(), "closed", "closed"),
    ("no settings", PREFACE + call(GOOD), "grpc 0", "closed"),
    ("garbage after the preface", PREFACE + b"\xff" * 100, "goaway 6", "closed"),
]

FRAMES: list[Row] = [
    ("good", BEGIN + call(GOOD), "grpc 0", "grpc 0"),
    ("a frame of 16 MiB", BEGIN + b"\xff\xff\xff\0\0\0\0\0\1", "goaway 6", "closed"),
    ("settings of 5 bytes", PREFACE + frame(SETTINGS, 0, 0, b"12345"), "goaway 1", "closed"),
    ("settings on a stream", PREFACE + frame(SETTINGS, 0, 1), "goaway 1", "closed"),
    (
        "an acknowledgement with settings",
        BEGIN + frame(SETTINGS, ACK, 0, bytes(6)),
        "goaway 1",
        "closed",
    ),
    ("a window over 2^31", PREFACE + settings((4, 2**31)), "goaway 1", "closed"),
    ("frames of 0 bytes at most", PREFACE + settings((5, 0)), "goaway 1", "closed"),
    ("push neither on nor off", PREFACE + settings((2, 7)), "goaway 1", "closed"),
    ("data on stream 0", BEGIN + frame(DATA, 0, 0, b"abc"), "goaway 1", IGNORED),
    ("data on an idle stream", BEGIN + frame(DATA, 0, 1, b"abc"), "goaway 1", IGNORED),
    (
        "headers on stream 0",
        BEGIN + frame(HEADERS, END_HEADERS, 0, block(CALL)),
        "goaway 1",
        IGNORED,
    ),
    (
        "headers on an even stream",
        BEGIN + frame(HEADERS, BOTH, 2, block(CALL)),
        "goaway 1",
        IGNORED,
    ),
    (
        "a continuation of nothing",
        BEGIN + frame(CONTINUATION, END_HEADERS, 1),
        "goaway 1",
        "closed",
    ),
    (
        "data amid headers",
        BEGIN + frame(HEADERS, 0, 1, block(CALL)) + frame(DATA, 1, 1, message(GOOD)),
        "goaway 1",
        "grpc 14",
    ),
    (
        "5,000 continuations",
        BEGIN
        + frame(HEADERS, 0, 1, block(CALL))
        + frame(CONTINUATION, 0, 1, block([(b"x", b"y")])) * 5000,
        "goaway 11",
        "grpc 14",
    ),
    (
        "20,000 empty continuations",
        BEGIN + frame(HEADERS, 0, 1, block(CALL)) + frame(CONTINUATION, 0, 1) * 20_000,
        "goaway 11",
        "reset 2",
    ),
    (
        "headers that are garbage",
        BEGIN + frame(HEADERS, BOTH, 1, b"\xff" * 50),
        "goaway 1",
        "grpc 13",
    ),
    ("headers by index 0", BEGIN + frame(HEADERS, BOTH, 1, b"\x80"), "goaway 1", "grpc 13"),
    (
        "headers that unpack to 16 MB",
        BEGIN + frame(HEADERS, BOTH, 1, frames.bomb()),
        "goaway 11",
        f"grpc 8 or {IGNORED}",
    ),
    ("a ping of 3 bytes", BEGIN + frame(PING, 0, 0, b"123"), "goaway 1", "closed"),
    (
        "20,000 pings",
        BEGIN + frame(PING, 0, 0, bytes(8)) * 20_000 + call(GOOD),
        "grpc 0",
        "goaway 11",
    ),
    ("20,000 settings", BEGIN + settings() * 20_000 + call(GOOD), "grpc 0", "grpc 0"),
    (
        "a stream that depends on itself",
        BEGIN + frame(PRIORITY, 0, 1, struct.pack(">IB", 1, 1)),
        "reset 1",
        IGNORED,
    ),
    ("a window of 0", BEGIN + frame(WINDOW, 0, 0, bytes(4)), "goaway 1", "closed"),
    (
        "a window that overflows",
        BEGIN + frame(WINDOW, 0, 0, struct.pack(">I", 2**31 - 1)) * 2,
        "goaway 3",
        IGNORED,
    ),
    ("a window of 1 byte", BEGIN + frame(WINDOW, 0, 0, b"1"), "goaway 1", "closed"),
    ("a reset of an idle stream", BEGIN + frame(RESET, 0, 1, bytes(4)), "goaway 1", IGNORED),
    ("a promise by the client", BEGIN + frame(PUSH, END_HEADERS, 1, bytes(4)), "goaway 1", IGNORED),
    ("a frame of an unknown kind", BEGIN + frame(77, 0, 0, b"x") + call(GOOD), "grpc 0", "grpc 0"),
    (
        "more padding than frame",
        BEGIN + frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + block(CALL)),
        "goaway 1",
        "grpc 13",
    ),
    (
        "streams that count backwards",
        BEGIN + call(GOOD, stream=5) + call(GOOD, stream=1),
        "goaway 1",
        IGNORED,
    ),
    (
        "farewell, then a call",
        BEGIN + frame(GOAWAY, 0, 0, bytes(8)) + call(GOOD),
        "grpc 0",
        "grpc 0",
    ),
    ("headers twice", BEGIN + OPEN * 2 + frame(DATA, 1, 1, message(GOOD)), "reset 1", "grpc 14"),
    (
        "20,000 empty frames of data",
        BEGIN + OPEN + frame(DATA, 0, 1) * 20_000 + frame(DATA, 1, 1, message(GOOD)),
        "goaway 11",
        "grpc 14",
    ),
    (
        "a frame for each byte",
        BEGIN
        + OPEN
        + b"".join(frame(DATA, 0, 1, bytes([byte])) for byte in message(GOOD))
        + frame(DATA, 1, 1),
        "grpc 0",
        "grpc 0",
    ),
    (
        "trailers by the client",
        BEGIN
        + OPEN
        + frame(DATA, 0, 1, message(GOOD))
        + frame(HEADERS, BOTH, 1, block([(b"x", b"y")])),
        "grpc 0",
        "grpc 0",
    ),
    (
        "more than the window allows",
        BEGIN + OPEN + frame(DATA, 0, 1, bytes(16_384)) * 1200,
        "reset 3 or goaway 3",
        "reset 1",
    ),
]

CALLS: list[Row] = [
    (label, BEGIN + call(GOOD, headers), native, grpcio)
    for label, headers, native, grpcio in [
        ("no method", changed(b":method", None), "reset 1", "reset 2"),
        ("GET", changed(b":method", b"GET"), "grpc 0", "reset 2"),
        ("no path", changed(b":path", None), "reset 1", "reset 2"),
        ("path *", changed(b":path", b"*"), "grpc 12", "grpc 12"),
        ("path empty", changed(b":path", b""), "reset 1", "grpc 12"),
        ("path unknown", changed(b":path", b"/a/b"), "grpc 12", "grpc 12"),
        (
            "path ..",
            changed(b":path", b"/inference.GRPCInferenceService/../x"),
            "grpc 12",
            "grpc 12",
        ),
        ("path of 60 kB", changed(b":path", b"/" + b"a" * 60_000), "grpc 12", "grpc 12"),
        ("path %00", changed(b":path", b"/%2e%2e/%00"), "grpc 12", "grpc 12"),
        ("no scheme", changed(b":scheme", None), "reset 1", "reset 2"),
        ("no content type", changed(b"content-type", None), "grpc 0", "grpc 0"),
        ("no te", changed(b"te", None), "grpc 0", "reset 2"),
        ("te chunked", changed(b"te", b"chunked"), "reset 1", "grpc 13"),
        ("connection: close", changed(b"connection", b"close"), "reset 1", "grpc 0"),
        ("an upper-case name", changed(b"X-Upper", b"v"), "goaway 1", "grpc 13"),
        ("path twice", (*CALL, (b":path", b"/x")), "reset 1", "grpc 12"),
        ("unknown pseudo-header", ((b":foo", b"x"), *CALL), "goaway 1", "grpc 13"),
        ("no name", changed(b"", b"x"), "goaway 1", "grpc 13"),
        ("NUL in a value", changed(b"x-nul", b"a\0b"), "goaway 1", "grpc 0"),
        ("CR LF in a value", changed(b"x-crlf", b"a\r\nb: c"), "goaway 1", "grpc 0"),
        ("no UTF-8 in a value", changed(b"x-other", b"\xff\xfe"), "grpc 0", "grpc 0"),
        ("no UTF-8 in x-request-id", changed(b"x-request-id", b"\xff\xfe"), "grpc 0", "grpc 0"),
        ("no UTF-8 in x-headrace-actor", changed(b"x-headrace-actor", b"\xff"), "grpc 0", "grpc 0"),
        ("no UTF-8 in traceparent", changed(b"traceparent", b"\xff-" * 5), "grpc 0", "grpc 0"),
        ("-bin without base64", changed(b"x-data-bin", b"!!!!"), "grpc 0", "grpc 13"),
        ("a value of 60 kB", changed(b"x-big", b"a" * 60_000), "grpc 0", "grpc 0"),
        ("a value of 70 kB", changed(b"x-big", b"a" * 70_000), "http 431", "grpc 8 or grpc 0"),
        ("timeout abc", changed(b"grpc-timeout", b"abc"), "grpc 0", "grpc 13"),
        ("timeout -1S", changed(b"grpc-timeout", b"-1S"), "grpc 0", "grpc 13"),
        ("timeout empty", changed(b"grpc-timeout", b""), "grpc 0", "grpc 13"),
        ("timeout of 11,000 years", changed(b"grpc-timeout", b"99999999H"), "grpc 0", "grpc 0"),
        ("an unknown encoding", changed(b"grpc-encoding", b"snappy"), "grpc 12", "grpc 13"),
        ("content-length wrong", changed(b"content-length", b"3"), "reset 1", "grpc 0"),
    ]
] + [
    (label, BEGIN + sent, native, grpcio)
    for label, sent, native, grpcio in [
        ("compressed and no encoding", call(GOOD, compressed=1), "grpc 13", "grpc 13"),
        (
            "gzip that is none",
            call(GOOD, changed(b"grpc-encoding", b"gzip"), compressed=1),
            "grpc 13",
            "grpc 13",
        ),
        ("length too short", call(GOOD, length=len(GOOD) - 5), "grpc 13", "grpc 3"),
        ("length too long", call(GOOD, length=len(GOOD) + 5), "grpc 13", IGNORED),
        ("length 4 GiB", call(GOOD, length=2**32 - 1), "grpc 13", "grpc 8"),
        ("no message", frame(HEADERS, BOTH, 1, block(CALL)), "grpc 13", IGNORED),
        ("no bytes", OPEN + frame(DATA, END_STREAM, 1), "grpc 13", IGNORED),
        ("half a length", OPEN + frame(DATA, END_STREAM, 1, bytes(3)), "grpc 13", IGNORED),
        ("two messages", OPEN + frame(DATA, END_STREAM, 1, message(GOOD) * 2), "grpc 0", "grpc 0"),
    ]
]

ROWS = [*OTHER_PROTOCOLS, *FRAMES, *CALLS]


@pytest.mark.parametrize(
    ("sent", "native", "grpcio"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_connection(target: Target, sent: bytes, native: str, grpcio: str) -> None:
    """Wrong bytes end their call or their connection, and nothing else."""
    expected = {"native": native, "grpcio": grpcio}[target.front].split(" or ")
    with connected(target.suite.inference) as connection:
        connection.send(sent)
        assert _outcome(connection, expected) in expected


def _outcome(connection: Connection, expected: list[str]) -> str:
    """What became of the call; `ignored` where nothing came and the connection still lives."""
    if expected != [IGNORED]:
        try:
            return connection.outcome()
        except TimeoutError:
            if IGNORED not in expected:
                raise
    connection.wait_for_ping()
    return IGNORED
