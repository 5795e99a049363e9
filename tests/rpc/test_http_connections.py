"""Connections of the HTTP server, over sockets: order, ends, pieces, and clients of all kinds."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headrace.service.http import server as http_server
from headrace.service.http.answers import Response, json_response
from headrace.service.http.app import HttpApp, TaskExchange
from headrace.service.http.requests import Body, Exchange, Request
from headrace.service.http.server import open_http_server
from headrace.tls.settings import ServerTlsSettings
from tests.tls_files import TlsFolder, tls_folder

LARGE = b"x" * 8 * 2**20


class EchoApp(HttpApp):
    """Answers bodies with themselves; `/wait` when its gate opens, `/large` with much."""

    def __init__(self) -> None:
        super().__init__(lambda path: f"nothing at {path}")
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.unread = 0
        self.has_unread, self.has_no_unread = asyncio.Event(), asyncio.Event()
        self.add("GET", "/wait", self._wait)
        self.add("GET", "/large", self._large)
        self.router.add("POST", "/echo", self._open_echo)

    def hold_unread(self, size: int) -> None:
        """Count what clients have not read."""
        self.unread += size
        (self.has_unread if self.unread else self.has_no_unread).set()

    def _open_echo(self, request: Request) -> Exchange:
        return TaskExchange(request, self._echo, self._tasks, 2**20)

    async def _echo(self, request: Request, body: Body) -> Response:
        return json_response({"body": bytes(body).decode(), "n": request.head.get("n")})

    async def _wait(self, _: Request) -> Response:
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return json_response("waited")

    async def _large(self, _: Request) -> Response:
        return Response([LARGE, memoryview(LARGE)], "application/octet-stream")


@dataclass
class Client:
    """A connection to an application."""

    app: EchoApp
    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heads: list[str] = field(default_factory=list)

    def send(self, *pieces: bytes) -> None:
        """Send these bytes."""
        for piece in pieces:
            self.writer.write(piece)

    async def answer(self, *, has_body: bool = True) -> tuple[int, bytes]:
        """The status and the body of the next answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            self.heads.append(head)
            lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            length = int(lines.get("content-length", 0)) if has_body else 0
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def ended(self) -> bool:
        """Whether the server ends the connection, with nothing more sent."""
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


@pytest.fixture(params=["plaintext", "TLS"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> TlsFolder | None:
    """An authority, where the test is over TLS."""
    return tls_folder(tmp_path) if request.param == "TLS" else None


@asynccontextmanager
async def connected(folder: TlsFolder | None = None) -> AsyncIterator[Client]:
    """A client of a server of its own, over TLS where there is an authority."""
    app, tls, context = EchoApp(), None, None
    if folder is not None:
        pair = folder.server()
        served = ServerTlsSettings(tls_cert=pair.certificate, tls_key=pair.key)
        tls = served.read_server_tls()
        context = ssl.create_default_context(cafile=str(folder.ca))
    async with open_http_server(app, "127.0.0.1", 0, tls=tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        yield Client(app, port, reader, writer)
        writer.close()


def post(body: bytes, *lines: str) -> bytes:
    """A request of `/echo`."""
    head = "".join(f"{line}\r\n" for line in ("Host: x", f"Content-Length: {len(body)}", *lines))
    return f"POST /echo HTTP/1.1\r\n{head}\r\n".encode() + body


def bodies(*answers: tuple[int, bytes]) -> list[Any]:
    """What the answers echo."""
    assert [200] * len(answers) == [status for status, _ in answers]
    return [json.loads(body)["body"] for _, body in answers]


async def test_requests_sent_ahead_are_answered_in_order(folder: TlsFolder | None) -> None:
    """However many came in one piece; others between them may be refused or wait."""
    async with connected(folder) as client:
        client.send(
            post(b"one")
            + b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
            + post(b"two")
            + b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        first = await client.answer()
        await client.app.waiting.wait()
        client.app.gate.set()
        waited, second, unknown = [await client.answer() for _ in range(3)]
        client.send(b"".join(post(b"%d" % n) for n in range(300)))
        many = [await client.answer() for _ in range(300)]
    assert ["one", "two"] == bodies(first, second)
    assert ((200, b'"waited"'), 404) == (waited, unknown[0])
    assert [str(n) for n in range(300)] == bodies(*many)


@pytest.mark.parametrize("step", [1, 5, 64])
async def test_requests_in_pieces(step: int) -> None:
    """A head and its body may come byte by byte."""
    sent = post(b"in pieces") + (
        b"\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nin \r\n6\r\nchunks\r\n0\r\n\r\n"
    )
    async with connected() as client:
        for start in range(0, len(sent), step):
            client.send(sent[start : start + step])
            await client.writer.drain()
            await asyncio.sleep(0)
        answers = [await client.answer() for _ in range(2)]
    assert ["in pieces", "in chunks"] == bodies(*answers)


async def test_a_body_that_is_expected_first() -> None:
    """A client that asks before it sends is told to go on, or why not."""
    async with connected() as client:
        whole = post(b"late", "Expect: 100-continue")
        client.send(whole[:-4])
        assert (100, b"") == await client.answer()
        client.send(whole[-4:])
        assert ["late"] == bodies(await client.answer())
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
        client.send(head)
        assert 400 == (await client.answer())[0]
        assert await client.ended()


async def test_other_expectations_cannot_be_met() -> None:
    """They are refused by HTTP's own status."""
    async with connected() as client:
        client.send(post(b"x", "Expect: tea")[:-1])
        assert 417 == (await client.answer())[0]


async def test_heads_alone() -> None:
    """HEAD gets the headers of GET's answer, and the connection goes on."""
    async with connected() as client:
        client.app.gate.set()
        client.send(b"HEAD /wait HTTP/1.1\r\nHost: x\r\n\r\n", post(b"next"))
        assert (200, b"") == await client.answer(has_body=False)
        assert ["next"] == bodies(await client.answer())
    assert "content-length: 8\r\n" in client.heads[0]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET /wait HTTP/1.0\r\n\r\n", "connection: close"),
        (b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "connection: close"),
    ],
)
async def test_connections_that_end_with_their_answer(sent: bytes, said: str) -> None:
    """As HTTP/1.0 has it, and whoever says so."""
    async with connected() as client:
        client.app.gate.set()
        client.send(sent)
        assert (200, b'"waited"') == await client.answer()
        assert said in client.heads[0]
        assert await client.ended()


async def test_old_clients_may_keep_connections() -> None:
    """They are told that it is kept."""
    async with connected() as client:
        client.app.gate.set()
        for _ in range(2):
            client.send(b"GET /wait HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (200, b'"waited"') == await client.answer()
    assert all("connection: keep-alive" in head for head in client.heads)


async def test_an_upgrade_that_is_not_offered() -> None:
    """Clients that would rather speak HTTP/2 are answered in HTTP/1.1."""
    async with connected() as client:
        client.send(post(b"h2c", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
        assert ["h2c"] == bodies(await client.answer())


async def test_a_refusal_is_read_before_the_body_is_sent() -> None:
    """A client that sends much more than is taken reads why, and not that the connection broke."""
    async with connected() as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(LARGE), LARGE
        )
        status, body = await client.answer()
    assert (400, "BODY_TOO_LARGE") == (status, json.loads(body)["reason"])


async def test_a_client_that_goes_while_it_waits() -> None:
    """What runs for it is cancelled."""
    async with connected() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.app.waiting.wait()
        client.writer.close()
        async with asyncio.timeout(10):
            await client.app.cancelled.wait()


async def test_a_client_that_reads_slowly() -> None:
    """It gets all of a large answer, and the next, while others are served."""
    async with connected() as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", post(b"after"))
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(post(b"beside"))
        async with asyncio.timeout(10):
            assert b"beside" in await reader.readuntil(b"beside")
        writer.close()
        status, body = await client.answer()
        assert (200, 2 * LARGE) == (status, body)
        assert ["after"] == bodies(await client.answer())


async def test_what_is_being_answered_when_the_server_closes() -> None:
    """It is answered, and the connection says that it ends; idle ones end at once."""
    app = EchoApp()
    server = open_http_server(app, "127.0.0.1", 0)
    port = await server.__aenter__()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    idle, other = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    await app.waiting.wait()
    closing = asyncio.create_task(server.__aexit__(None, None, None))
    async with asyncio.timeout(10):
        assert b"" == await idle.read()
        app.gate.set()
        answer = await reader.read()
        await closing
    writer.close()
    other.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize(("sent", "limit"), [(b"GET / HT", "SILENCE"), (b"", "IDLE")])
async def test_connections_that_are_silent(
    sent: bytes, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a head, or without any request, for too long: they end."""
    monkeypatch.setattr(http_server, f"{limit}_SECONDS", 0.05)
    async with connected() as client:
        client.send(sent)
        assert await client.ended()


UVLOOP: list[Callable[[], Any]] = [
    test_a_body_that_is_expected_first,
    test_a_refusal_is_read_before_the_body_is_sent,
    test_a_client_that_goes_while_it_waits,
    test_a_client_that_reads_slowly,
    test_what_is_being_answered_when_the_server_closes,
]


@pytest.mark.parametrize("test", UVLOOP, ids=lambda test: str(test.__name__))
def test_the_same_on_uvloop(test: Callable[[], Any]) -> None:
    """Which is the loop of services."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


GET_LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_answers_that_are_not_read_are_counted(folder: TlsFolder | None) -> None:
    """Until they are read."""
    async with connected(folder) as client:
        client.send(GET_LARGE)
        async with asyncio.timeout(10):
            await client.app.has_unread.wait()
        client.app.has_no_unread.clear()
        assert (200, LARGE * 2) == await client.answer()
        async with asyncio.timeout(10):
            await client.app.has_no_unread.wait()
    assert 0 == client.app.unread


async def test_a_client_that_never_reads_is_given_up(
    monkeypatch: pytest.MonkeyPatch, folder: TlsFolder | None
) -> None:
    """Its answer is not kept for ever."""
    monkeypatch.setattr(http_server, "UNREAD_SECONDS", 0.05)
    async with connected(folder) as client:
        client.send(GET_LARGE)
        async with asyncio.timeout(10):
            await client.app.has_unread.wait()
            await client.app.has_no_unread.wait()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.answer()
    assert 0 == client.app.unread


OF_CONNECTIONS: list[Callable[[TlsFolder | None], Any]] = [
    test_requests_sent_ahead_are_answered_in_order,
    test_answers_that_are_not_read_are_counted,
]


@pytest.mark.parametrize("test", OF_CONNECTIONS, ids=lambda test: str(test.__name__))
def test_the_same_with_tls_on_uvloop(
    test: Callable[[TlsFolder | None], Any], folder: TlsFolder | None
) -> None:
    """Its TLS is another one than asyncio's."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test(folder))
