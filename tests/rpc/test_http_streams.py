"""Answers that are written piece by piece, over sockets: whole, broken off, read slowly, and left."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace import errors
from headrace.service.http import server as http_server
from headrace.service.http.answers import Response, json_response
from headrace.service.http.app import HttpApp
from headrace.service.http.events import EventStream, event, sending_events
from headrace.service.http.requests import Request
from headrace.service.http.server import open_http_server
from headrace.tls.settings import ServerTlsSettings
from tests.tls_files import TlsFolder, tls_folder

PATIENCE_SECONDS = 10
PIECE = b"x" * 20_000
GET = b"GET /events HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"

Produce = Callable[[EventStream], Awaitable[None]]


class EventsApp(HttpApp):
    """Answers `/events` with what a test produces, and `/next` at once."""

    def __init__(self, produce: Produce, ping_seconds: float) -> None:
        super().__init__(lambda path: f"nothing at {path}")
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.unread = self.finished = 0
        self._produce = produce
        self._ping_seconds = ping_seconds
        self.finishers.append(self._count)
        self.add("GET", "/events", self._events)
        self.add("GET", "/next", self._next)

    def hold_unread(self, size: int) -> None:
        """Count what clients have not read."""
        self.unread += size

    def _count(self, _: Request, __: Response) -> None:
        self.finished += 1

    async def _events(self, request: Request) -> Response:
        outcome = "left"
        try:
            with sending_events(request, {"X-Own": "1"}, self._ping_seconds) as stream:
                await self._produce(stream)
            outcome = "sent"
        except errors.HeadraceError:
            outcome = "failed"
            raise
        finally:
            self.ended.set_result(outcome)
        return stream.response

    async def _next(self, _: Request) -> Response:
        return json_response("next")


@dataclass
class Client:
    """A connection to an application."""

    app: EventsApp
    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, end: bytes) -> bytes:
        """What comes, up to these bytes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.readuntil(end)

    async def rest(self) -> bytes:
        """All that still comes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read()

    async def rest_until_end(self) -> bytes:
        """All that comes up to the last chunk."""
        body = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not body.endswith(b"\r\n0\r\n\r\n"):
                body += await self.reader.read(2**16)
        return body

    async def outcome(self) -> str:
        """How the handler ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.app.ended


@pytest.fixture(params=["plaintext", "TLS"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> TlsFolder | None:
    """An authority, where the test is over TLS."""
    return tls_folder(tmp_path) if request.param == "TLS" else None


@asynccontextmanager
async def connected(
    produce: Produce, folder: TlsFolder | None = None, ping_seconds: float = 60
) -> AsyncIterator[Client]:
    """A client of a server of its own, over TLS where there is an authority."""
    app, tls, context = EventsApp(produce, ping_seconds), None, None
    if folder is not None:
        pair = folder.server()
        served = ServerTlsSettings(tls_cert=pair.certificate, tls_key=pair.key)
        tls = served.read_server_tls()
        context = ssl.create_default_context(cafile=str(folder.ca))
    async with open_http_server(app, "127.0.0.1", 0, tls=tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=2**16)
        yield Client(app, port, reader, writer)
        writer.close()


async def two_events(stream: EventStream) -> None:
    """Send one event, then another, larger than a line of a chunk's size is long."""
    stream.send(event(b"1"))
    stream.send(event(PIECE))


async def forever(stream: EventStream) -> None:
    """Send one event and stay."""
    stream.send(event(b"1"))
    await asyncio.Event().wait()


async def endless(stream: EventStream) -> None:
    """Send events as fast as they are read."""
    while True:
        stream.send(event(PIECE))
        await stream.body.drain()
        await asyncio.sleep(0)


async def broken(stream: EventStream) -> None:
    """Fail once an event was sent."""
    stream.send(event(b"1"))
    raise errors.Unavailable("GONE", "it is gone")


async def test_a_stream_in_chunks_and_the_requests_after_it(folder: TlsFolder | None) -> None:
    """It comes as it was written, unpacked, and a request sent ahead is answered once it has ended."""
    async with connected(two_events, folder) as client:
        client.writer.write(GET + NEXT)
        head = await client.until(b"\r\n\r\n")
        first = await client.until(b"\n\n\r\n")
        second = await client.until(b"\n\n\r\n")
        end = await client.until(b"0\r\n\r\n")
        following = await client.until(b'"next"')
        assert "sent" == await client.outcome()
        assert 2 == client.app.finished
    lines = head.lower().split(b"\r\n")
    assert b"transfer-encoding: chunked" in lines
    assert b"content-type: text/event-stream; charset=utf-8" in lines
    assert b"x-own: 1" in lines
    assert not [line for line in lines if line.startswith((b"content-length", b"content-encoding"))]
    assert (b"9\r\ndata: 1\n\n\r\n", b"0\r\n\r\n") == (first, end)
    assert b"%x\r\ndata: %b\n\n\r\n" % (len(PIECE) + 8, PIECE) == second
    assert following.startswith(b"HTTP/1.1 200")


async def test_a_stream_for_old_clients() -> None:
    """HTTP/1.0 has no chunks: the end of the connection is the end."""
    async with connected(two_events) as client:
        client.writer.write(b"GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert event(b"1") + event(PIECE) == body


async def test_a_client_that_asked_to_close() -> None:
    """The last chunk comes, then the end."""
    async with connected(two_events) as client:
        client.writer.write(GET.replace(b"Host", b"Connection: close\r\nHost"))
        answer = await client.rest()
    assert answer.endswith(b"\r\n0\r\n\r\n")


async def test_the_head_of_a_stream_alone() -> None:
    """HEAD gets no body, and the connection goes on."""
    async with connected(two_events) as client:
        client.writer.write(GET.replace(b"GET", b"HEAD") + NEXT)
        head = await client.until(b"\r\n\r\n")
        assert (await client.until(b'"next"')).startswith(b"HTTP/1.1 200")
    assert b"chunked" in head


@pytest.mark.parametrize("leave", ["close", "abort"])
async def test_a_client_that_leaves(leave: str, folder: TlsFolder | None) -> None:
    """What runs for it is cancelled at once, however it leaves."""
    async with connected(forever, folder) as client:
        client.writer.write(GET)
        await client.until(b"data: 1\n\n")
        getattr(client.writer.transport, leave)()
        assert "left" == await client.outcome()


async def test_a_client_that_ends_its_half() -> None:
    """One that will send nothing more, while an answer is written to it, has left."""
    async with connected(forever) as client:
        client.writer.write(GET)
        await client.until(b"data: 1\n\n")
        client.writer.write_eof()
        assert "left" == await client.outcome()


async def test_a_stream_that_fails_is_broken_off(folder: TlsFolder | None) -> None:
    """Its client sees the connection end without a last chunk: nobody takes a part for the whole."""
    async with connected(broken, folder) as client:
        client.writer.write(GET + NEXT)
        answer = await client.rest()
        assert "failed" == await client.outcome()
    assert answer.endswith(b"data: 1\n\n\r\n")
    assert b"next" not in answer


async def test_a_stream_that_fails_for_old_clients() -> None:
    """An orderly end would say that all was sent: it is a reset."""
    async with connected(broken) as client:
        client.writer.write(b"GET /events HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_comments_while_there_is_nothing_to_say(folder: TlsFolder | None) -> None:
    """A silent stream says that it lives."""
    async with connected(forever, folder, ping_seconds=0.01) as client:
        client.writer.write(GET)
        await client.until(b"data: 1\n\n\r\n")
        for _ in range(2):
            assert b"8\r\n: ping\n\n\r\n" == await client.until(b"ping\n\n\r\n")


async def test_a_slow_reader_stops_whoever_writes(folder: TlsFolder | None) -> None:
    """What waits for it is bounded and counted, and goes on when it reads; others are served meanwhile."""
    sent: list[int] = []
    stands = asyncio.Event()

    async def produce(stream: EventStream) -> None:
        while not stream.body.is_full:
            stream.send(event(PIECE))
            sent.append(stream.body.pending_bytes)
        stands.set()
        await stream.body.drain()
        stream.send(event(b"after"))

    async with connected(produce, folder) as client:
        client.writer.write(GET)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stands.wait()
        assert 0 < client.app.unread <= 2**18
        assert len(sent) * len(PIECE) < 2**24
        body = await client.rest_until_end()
    assert body.count(PIECE) == len(sent)
    assert b"data: after\n\n" in body


async def test_a_client_that_never_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a time, and what runs for it ends."""
    monkeypatch.setattr(http_server, "UNREAD_SECONDS", 0.05)
    async with connected(endless) as client:
        client.writer.write(GET)
        assert "left" == await client.outcome()


async def test_a_server_that_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that do not end in time are broken off, and whoever writes them is told to leave."""
    monkeypatch.setattr(http_server, "DRAIN_SECONDS", 0.05)
    async with connected(forever) as client:
        client.writer.write(GET)
        await client.until(b"data: 1\n\n")
    assert "left" == await client.outcome()
