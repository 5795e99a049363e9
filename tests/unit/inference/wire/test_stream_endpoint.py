"""Streams behind the native front, frame by frame: messages, windows, errors, ends; and broken peers."""

from __future__ import annotations

import asyncio
import gzip
import struct
import threading
import zlib
from collections.abc import Callable

import pytest

from headrace_inference.domain.ingress.limits import IngressLimits
from tests.hostile.frames import (
    ACK,
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
    frame,
    message,
    settings,
)
from tests.unit.inference.wire.stream_endpoints import (
    BEGIN,
    STREAM,
    Told,
    opened,
    request,
    running_endpoint,
    sent,
    told,
)

PATIENCE_SECONDS = 10
OPEN = frame(HEADERS, END_HEADERS, 1, block(STREAM))
HEADER_BLOCK = block(STREAM)
BOTH = END_HEADERS | END_STREAM


def asking(*frames: bytes) -> Callable[[Connection], Told]:
    """A caller who sends these and reads to the end."""

    def ask(connection: Connection) -> Told:
        for each in frames:
            connection.send(each)
        return told(connection)

    return ask


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads or the loop bring about."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - other threads know no event
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("size", [1, 7, 16_384])
async def test_frames_may_come_in_any_pieces(size: int) -> None:
    """Bytes are put together, whatever the socket makes of them."""
    whole = opened() + sent(request(1), request(2)) + sent(request(3), flags=END_STREAM)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    async with running_endpoint() as endpoint:
        found = await endpoint.ask(asking(*pieces))
        counted = endpoint.site.counted(1)
    assert ([2.0, 4.0, 6.0], "0") == (found.values, found.status)
    assert (3, {}) == counted


@pytest.mark.parametrize("size", [1, 6, 100])
async def test_a_message_may_come_in_any_frames(size: int) -> None:
    """Frames and messages have nothing to do with one another; padding and priorities are passed over."""
    data = message(request(1)) + message(request(2))
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    padded = [frame(DATA, PADDED, 1, b"\3" + part + bytes(3)) for part in parts]
    first = frame(HEADERS, END_HEADERS | 0x20, 1, bytes(5) + HEADER_BLOCK)
    async with running_endpoint() as endpoint:
        found = await endpoint.ask(asking(BEGIN + first, *padded, frame(DATA, END_STREAM, 1)))
    assert ([2.0, 4.0], "0") == (found.values, found.status)


async def test_headers_may_be_continued() -> None:
    """A header block has any number of frames."""
    parts = (
        frame(HEADERS, 0, 1, HEADER_BLOCK[:10])
        + frame(CONTINUATION, 0, 1, HEADER_BLOCK[10:20])
        + frame(CONTINUATION, END_HEADERS, 1, HEADER_BLOCK[20:])
    )
    async with running_endpoint() as endpoint:
        found = await endpoint.ask(asking(BEGIN + parts, sent(request(1), flags=END_STREAM)))
    assert ([2.0], "0") == (found.values, found.status)


async def test_errors_are_told_in_their_places_however_many() -> None:
    """A thousand requests in one go that are none, between two that are."""
    wrong = [b"\xff"] * 1000
    frames = [sent(request(1)), sent(*wrong), sent(request(2), flags=END_STREAM)]
    async with running_endpoint(max_in_flight=16) as endpoint:
        found = await endpoint.ask(asking(opened(), *frames))
        counted = endpoint.site.counted(1)
    assert (1002, "0") == (len(found.values), found.status)
    assert [2.0, 4.0] == [value for value in found.values if isinstance(value, float)]
    assert (2.0, 4.0) == (found.values[0], found.values[-1])
    assert (2, {}) == counted


async def test_a_wrong_request_has_its_reason_in_the_trailers() -> None:
    """With `triton_grpc_error` the first error ends the call; what came after it is dropped."""
    headers = (*STREAM, (b"triton_grpc_error", b"true"))
    async with running_endpoint() as endpoint:
        found = await endpoint.ask(
            asking(opened(headers), sent(request(1), request(1, "none"), request(2)))
        )
        await until(lambda: endpoint.site.ingress.receptions.count == 0)
    assert ([2.0], "5") == (found.values, found.status)
    assert (
        b"%27none%27" in found.trailers[b"grpc-message"]
        or b"'none'" in found.trailers[b"grpc-message"]
    )
    assert b"grpc-status-details-bin" in found.trailers


def packed(kind: bytes, payload: bytes) -> bytes:
    """A call with one message that says it is packed so."""
    headers = (*STREAM, (b"grpc-encoding", kind))
    return opened(headers) + frame(DATA, END_STREAM, 1, message(payload, compressed=1))


@pytest.mark.parametrize(
    ("frames", "status"),
    [
        (packed(b"gzip", gzip.compress(request(1))), "0"),
        (packed(b"deflate", zlib.compress(request(1))), "0"),
        (packed(b"gzip", request(1)), "3"),
        (packed(b"gzip", gzip.compress(request(1))[:-9]), "3"),
        (packed(b"gzip", gzip.compress(bytes(2**20))), "8"),
        (packed(b"identity", request(1)), "13"),
        (packed(b"snappy", request(1)), "12"),
        (opened() + sent(bytes(5000), flags=END_STREAM), "8"),
        (opened() + frame(DATA, END_STREAM, 1, message(request(1))[:-1]), "13"),
        (opened((*STREAM, (b"grpc-timeout", b"soon"))), "13"),
        (opened() + frame(HEADERS, BOTH, 1, block([(b"x", b"y")])), "0"),
        (BEGIN + frame(HEADERS, BOTH, 1, HEADER_BLOCK), "0"),
    ],
)
async def test_the_status_of_a_call(frames: bytes, status: str) -> None:
    """Compressions, sizes, cut-off messages, deadlines that are none."""
    async with running_endpoint(IngressLimits(max_message_bytes=4096)) as endpoint:
        found = await endpoint.ask(asking(frames))
    assert status == found.status


async def test_a_deadline_ends_a_call_that_waits() -> None:
    """Its request is dropped, and counted as late."""
    headers = (*STREAM, (b"grpc-timeout", b"50m"))
    async with running_endpoint() as endpoint:
        runner = endpoint.site.loader.runners[1]
        runner.gate = threading.Event()
        found = await endpoint.ask(asking(opened(headers), sent(request(1))))
        runner.gate.set()
        await until(lambda: endpoint.site.counted(1) == (0, {"DEADLINE_EXCEEDED": 1}))
    assert ([], "4") == (found.values, found.status)


async def test_a_reset_drops_what_waits() -> None:
    """The caller is gone: what was not told counts as cancelled, and nothing is held."""
    async with running_endpoint() as endpoint:
        runner, ingress = endpoint.site.loader.runners[1], endpoint.site.ingress
        runner.gate = threading.Event()
        with endpoint.connected() as connection:
            connection.send(opened() + sent(request(1), request(2)))
            await until(lambda: ingress.receptions.count == 2)
            connection.send(frame(RESET, 0, 1, struct.pack(">I", 8)))
            await until(lambda: ingress.receptions.count == 0)
            runner.gate.set()
            await asyncio.to_thread(connection.wait_for_ping)
        counted = endpoint.site.counted(1)
        await until(lambda: (ingress.budget.requests, ingress.budget.bytes) == (0, 0))
    assert (0, {"CANCELLED": 2}) == counted


async def test_a_lost_connection_drops_what_waits() -> None:
    """As a reset does."""
    async with running_endpoint() as endpoint:
        runner, ingress = endpoint.site.loader.runners[1], endpoint.site.ingress
        runner.gate = threading.Event()
        with endpoint.connected() as connection:
            connection.send(opened() + sent(request(1)))
            await until(lambda: ingress.receptions.count == 1)
        await until(lambda: ingress.receptions.count == 0)
        runner.gate.set()
        await until(lambda: (ingress.budget.requests, ingress.budget.bytes) == (0, 0))
    assert (0, {"CANCELLED": 1}) == endpoint.site.counted(1)


async def test_answers_wait_for_the_callers_window() -> None:
    """Nothing is sent without one, not even counted; then as much as it lets through."""
    async with running_endpoint() as endpoint:
        begin = PREFACE + settings((4, 0)) + OPEN
        with endpoint.connected() as connection:
            connection.send(begin + sent(request(1), request(2), flags=END_STREAM))
            budget = endpoint.site.ingress.budget
            await until(lambda: budget.requests == 0 and budget.bytes > 0)
            before = endpoint.site.counted(1)
            connection.send(frame(WINDOW, 0, 1, struct.pack(">I", 1)))
            first = await asyncio.to_thread(told, connection, lambda found: bool(found.data))
            connection.send(frame(WINDOW, 0, 1, struct.pack(">I", 2**20)))
            rest = await asyncio.to_thread(told, connection)
        await until(lambda: budget.bytes == 0)
    assert (0, {}) == before
    assert 1 == len(first.data)
    assert "0" == rest.status


async def test_a_caller_gets_so_much_window_and_no_more() -> None:
    """Of a stream whose requests may not be taken nothing more than its window is kept."""
    async with running_endpoint(max_in_flight=1) as endpoint:
        runner = endpoint.site.loader.runners[1]
        runner.gate = threading.Event()
        with endpoint.connected() as connection:
            connection.send(opened() + sent(request(1)))
            part = frame(DATA, 0, 1, bytes(16_384))
            await asyncio.to_thread(connection.send, part * 17)  # the window has 16
            ended = await asyncio.to_thread(connection.outcome, 3)
        runner.gate.set()
    assert "goaway 3" == ended


async def test_a_stopping_service_answers_what_came_and_ends() -> None:
    """Also streams that begin then."""
    async with running_endpoint() as endpoint:
        with endpoint.connected() as connection:
            connection.send(opened() + sent(request(1)))
            first = await asyncio.to_thread(told, connection, lambda found: bool(found.messages))
            endpoint.options.stopping.set()
            rest = await asyncio.to_thread(told, connection)
        late = await endpoint.ask(asking(opened()))
    assert [2.0] == first.values
    assert ("14", "14") == (rest.status, late.status)


BROKEN = {
    "no HTTP/2": (b"GET / HTTP/1.1\r\n\r\n", 1),
    "another preface": (PREFACE.replace(b"SM", b"XX"), 1),
    "a large frame": (BEGIN + b"\xff\xff\xff\0\0\0\0\0\1", 6),
    "settings of 5 bytes": (PREFACE + frame(SETTINGS, 0, 0, b"12345"), 6),
    "a window over 2^31": (PREFACE + settings((4, 2**31)), 3),
    "data on stream 0": (BEGIN + frame(DATA, 0, 0, b"abc"), 1),
    "data on an idle stream": (BEGIN + frame(DATA, 0, 1, b"abc"), 1),
    "data after the end": (BEGIN + OPEN + sent(request(1), flags=END_STREAM) * 2, 5),
    "headers on an even stream": (BEGIN + frame(HEADERS, BOTH, 2, HEADER_BLOCK), 1),
    "headers that do not unpack": (BEGIN + frame(HEADERS, BOTH, 1, b"\xff\xff\xff\xff\xff"), 9),
    "headers without end": (
        BEGIN + frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1, bytes(16_000)) * 10,
        11,
    ),
    "a continuation of nothing": (BEGIN + frame(CONTINUATION, END_HEADERS, 1), 1),
    "data amid headers": (BEGIN + frame(HEADERS, 0, 1, HEADER_BLOCK) + sent(b""), 1),
    "padding over the payload": (BEGIN + OPEN + frame(DATA, PADDED, 1, b"\x09abc"), 1),
    "a promise": (BEGIN + OPEN + frame(PUSH, 0, 1, bytes(4)), 1),
    "a ping of 7 bytes": (BEGIN + frame(PING, 0, 0, bytes(7)), 6),
    "a window that grows by nothing": (BEGIN + frame(WINDOW, 0, 0, bytes(4)), 1),
    "a window that grows too far": (BEGIN + frame(WINDOW, 0, 0, b"\x7f" + b"\xff" * 3), 3),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_peer_that_breaks_the_protocol_loses_its_connection(name: str) -> None:
    """It is told why, and others go on."""
    frames, code = BROKEN[name]
    async with running_endpoint() as endpoint:
        with endpoint.connected() as broken:
            broken.send(frames)
            ended = await asyncio.to_thread(broken.outcome, 99)
        found = await endpoint.ask(asking(opened(), sent(request(1), flags=END_STREAM)))
        held = endpoint.site.ingress.budget.requests
    assert (f"goaway {code}", [2.0], 0) == (ended, found.values, held)


async def test_what_need_not_be_understood_is_passed_over() -> None:
    """Priorities, unknown frames and settings, resets of streams that have ended, a peer that leaves."""
    passed_over = (
        frame(PRIORITY, 0, 1, bytes(5))
        + frame(0x42, 0, 1, b"what")
        + settings((0x99, 1))
        + frame(SETTINGS, ACK, 0)
        + frame(PING, ACK, 0, bytes(8))
        + frame(GOAWAY, 0, 0, bytes(8))
    )
    async with running_endpoint() as endpoint:
        found = await endpoint.ask(
            asking(opened(), passed_over, sent(request(1), flags=END_STREAM))
        )
    assert ([2.0], "0") == (found.values, found.status)
