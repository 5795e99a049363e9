"""Servers of HTTP and gRPC over TLS: certificates of callers, old protocols, and clients that misbehave."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import errors
from headrace.client import AsyncClient
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.security.callers import current_caller
from headrace.security.credentials import PeerCertificate
from headrace.service import grpc_serving, listening
from headrace.service.grpc_admission import Gate
from headrace.service.grpc_serving import open_grpc_server
from headrace.service.http.answers import Response, json_response
from headrace.service.http.app import HttpApp
from headrace.service.http.requests import Request
from headrace.service.http.server import open_http_server
from headrace.service.tls_serving import open_server_tls
from headrace.tls.settings import ServerTlsSettings
from tests.rpc.tls_suites import (
    http_context,
    page_of,
    shown_by,
)
from tests.tls_files import ALICE, LOOPBACK, Pair, TlsFolder, tls_folder


def _settings(folder: TlsFolder, pair: Pair, auth: str = "off") -> ServerTlsSettings:
    return ServerTlsSettings(
        tls_cert=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=None if auth == "off" else folder.ca,
        tls_client_auth=auth,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def _names_served(folder: TlsFolder, auth: str) -> AsyncIterator[int]:
    """An application that tells the names in its caller's certificate."""
    app = HttpApp(lambda path: path)

    async def names(request: Request) -> Response:
        shown = request.certificate
        return json_response(None if shown is None else [*shown.uris, *shown.hosts])

    app.add("GET", "/names", names)
    async with (
        open_server_tls(_settings(folder, folder.server(), auth)) as tls,
        open_http_server(app, "127.0.0.1", 0, tls=tls) as port,
    ):
        yield port


async def test_an_optional_certificate_is_verified_where_it_is_shown(tmp_path: Path) -> None:
    """Without one a caller is nobody, one of another authority is refused."""
    folder, stranger = tls_folder(tmp_path), tls_folder(tmp_path, "other")
    alice = folder.pair("alice", ALICE)
    async with _names_served(folder, "optional") as port:
        url = f"https://127.0.0.1:{port}/names"
        assert "null" == await page_of(url, http_context(folder))
        known = await page_of(url, http_context(folder, alice))
        assert '["spiffe://headrace/alice","alice.example"]' == known
        with pytest.raises(aiohttp.ClientError):
            await page_of(url, http_context(folder, stranger.pair("alice", ALICE)))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_authorities_that_are_replaced_are_trusted_no_more(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """Not by a session that is resumed, either, as one is while nothing has changed."""
    folder, next_one = tls_folder(tmp_path), tls_folder(tmp_path, "next")
    context = http_context(folder, folder.pair("alice", ALICE))
    context.minimum_version = context.maximum_version = version
    async with _names_served(folder, "required") as port:
        told, session = await asyncio.to_thread(_names_told, port, context)
        assert (b"alice.example" in told, session.has_ticket) == (True, True)
        told, _ = await asyncio.to_thread(_names_told, port, context, session, is_resumed=True)
        assert b"alice.example" in told
        folder.ca.write_bytes(next_one.ca.read_bytes())
        with pytest.raises(OSError):  # noqa: PT011 - an alert or a reset
            await asyncio.to_thread(_names_told, port, context, session)


def _names_told(
    port: int,
    context: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    *,
    is_resumed: bool = False,
) -> tuple[bytes, Any]:
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as secured,
    ):
        assert secured.session_reused or not is_resumed
        secured.sendall(b"GET /names HTTP/1.1\r\nHost: a\r\n\r\n")
        told = secured.recv(16_384)
        if not told:
            raise ConnectionResetError
        return told, secured.session


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("kind", ["grpc", "http"])
async def test_tls_1_1_is_refused(tmp_path: Path, kind: str) -> None:
    """By both kinds of servers, also for a client that has nothing better."""
    folder = tls_folder(tmp_path)
    async with open_server_tls(_settings(folder, folder.server())) as tls:
        app = HttpApp(lambda path: path)
        async with (
            open_http_server(app, "127.0.0.1", 0, tls=tls) as http_port,
            open_grpc_server("127.0.0.1:0", [], lambda _: None, drain_seconds=0, tls=tls) as server,
        ):
            port = http_port if kind == "http" else server.port
            assert "TLSv1.2" == await asyncio.to_thread(_spoken, port, ssl.TLSVersion.TLSv1_2)
            with pytest.raises(ssl.SSLError):
                await asyncio.to_thread(_spoken, port, ssl.TLSVersion.TLSv1_1)


def _spoken(port: int, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain) as secured,
    ):
        return secured.version()


class _Seeing(pb_grpc.GRPCInferenceServiceServicer):
    """Remembers who called, and from where."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.seen: list[tuple[PeerCertificate | None, str]] = []

    async def ServerLive(self, request: Any, context: Any) -> Any:
        self.seen.append((self.gate.certificate_of(context), current_caller().peer))
        return pb.ServerLiveResponse(live=True)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        return pb.ModelInferResponse(raw_output_contents=request.raw_input_contents)


@asynccontextmanager
async def _seen(folder: TlsFolder, auth: str) -> AsyncIterator[tuple[_Seeing, str]]:
    """A server of gRPC that sees certificates through its gate, and its address."""
    gate = Gate()
    servicer = _Seeing(gate)
    async with open_server_tls(_settings(folder, folder.server(), auth)) as tls:
        register = partial(pb_grpc.add_GRPCInferenceServiceServicer_to_server, servicer)
        opening = open_grpc_server("127.0.0.1:0", [], register, drain_seconds=0, tls=tls, gate=gate)
        async with opening as server:
            yield servicer, f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("auth", ["optional", "required"])
async def test_a_grpc_call_knows_its_callers_certificate(tmp_path: Path, auth: str) -> None:
    """URIs and names of hosts are kept apart, its end is known, and the caller's address is his."""
    folder = tls_folder(tmp_path)
    alice = folder.pair("alice", ALICE)
    async with _seen(folder, auth) as (servicer, where):
        shown = {"tls_cert": alice.certificate, "tls_key": alice.key}
        given: dict[str, Any] = {"tls_ca": folder.ca, **shown}
        async with AsyncClient(inference=where, **given) as client:
            assert await client.server_live()
    ((certificate, peer),) = servicer.seen
    assert certificate is not None
    assert (("spiffe://headrace/alice",), ("alice.example",)) == (
        certificate.uris,
        certificate.hosts,
    )
    assert 0 < certificate.expires_at < float("inf")
    assert peer.startswith("ipv4:127.0.0.1:")


async def test_an_optional_certificate_of_a_grpc_caller_is_verified(tmp_path: Path) -> None:
    """Without one a caller is nobody, one of another authority is refused, and messages may be large."""
    folder, stranger = tls_folder(tmp_path), tls_folder(tmp_path, "other")
    theirs = stranger.pair("alice", ALICE)
    async with _seen(folder, "optional") as (servicer, where):
        async with AsyncClient(inference=where, tls_ca=folder.ca) as client:
            assert await client.server_live()
        shown = {"tls_cert": theirs.certificate, "tls_key": theirs.key}
        given: dict[str, Any] = {"tls_ca": folder.ca, "timeout_seconds": 0.5, **shown}
        async with AsyncClient(inference=where, **given) as client:
            with pytest.raises(errors.Unavailable):
                await client.server_live()
        credentials = grpc.ssl_channel_credentials(folder.ca.read_bytes())
        options = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.secure_channel(where, credentials, options) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            message = pb.ModelInferRequest(raw_input_contents=[bytes(8 << 20)])
            answers = await asyncio.gather(*(stub.ModelInfer(message) for _ in range(4)))
            assert [8 << 20] * 4 == [len(each.raw_output_contents[0]) for each in answers]
    assert [None] == [certificate for certificate, _ in servicer.seen]


async def test_an_answer_that_ends_a_connection_arrives_over_tls(tmp_path: Path) -> None:
    """A large one, to a client that reads slowly and asked for the end; and what is no HTTP is told so."""
    folder = tls_folder(tmp_path)
    app = HttpApp(lambda path: path)

    async def large(_: Request) -> Response:
        return Response(bytes(4 << 20), "application/octet-stream")

    app.add("GET", "/large", large)
    async with (
        open_server_tls(_settings(folder, folder.server())) as tls,
        open_http_server(app, "127.0.0.1", 0, tls=tls) as port,
    ):
        context = http_context(folder)
        read = await asyncio.to_thread(_read_to_the_end, port, context, b"GET /large")
        assert (4 << 20) == len(read.partition(b"\r\n\r\n")[2])
        told = await asyncio.to_thread(_read_to_the_end, port, context, b"NO HTTP AT ALL")
        assert b"400 Bad Request" in told


def _read_to_the_end(port: int, context: ssl.SSLContext, line: bytes) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(line + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        pieces = []
        while piece := secured.recv(16_384):
            pieces.append(piece)
        return b"".join(pieces)


async def test_idle_clients_do_not_hold_up_a_stop(tmp_path: Path) -> None:
    """One that keeps its connection and reads nothing says nothing to the end of TLS, either."""
    folder = tls_folder(tmp_path)
    app = HttpApp(lambda path: path)
    async with open_server_tls(_settings(folder, folder.server())) as tls:
        loop = asyncio.get_running_loop()
        async with open_http_server(app, "127.0.0.1", 0, tls=tls) as port:
            context = http_context(folder)
            idle = http.client.HTTPSConnection("127.0.0.1", port, context=context)
            await asyncio.to_thread(idle.request, "GET", "/")
            assert 404 == (await asyncio.to_thread(idle.getresponse)).status
            began = loop.time()
        assert loop.time() - began < 4
        with suppress(OSError):
            idle.close()


async def test_plaintext_and_strangers_get_nothing(tmp_path: Path) -> None:
    """A port with TLS speaks nothing else, and says so to our client."""
    folder, stranger = tls_folder(tmp_path), tls_folder(tmp_path, "other")
    wrong = folder.pair("wrong", type(LOOPBACK)(["elsewhere.example"]), serves=True)
    async with open_server_tls(_settings(folder, wrong)) as tls:
        opening = open_grpc_server("127.0.0.1:0", [], lambda _: None, drain_seconds=0, tls=tls)
        async with (
            opening as server,
            open_http_server(HttpApp(lambda path: path), "127.0.0.1", 0, tls=tls) as http_port,
        ):
            where = f"127.0.0.1:{server.port}"
            rows: list[tuple[dict[str, Any], type[Exception], str]] = [
                ({}, errors.Unavailable, "if it speaks TLS, say so"),
                ({"tls_ca": folder.ca}, errors.FailedPrecondition, "has another name"),
                ({"tls_ca": stranger.ca}, errors.FailedPrecondition, "not from an authority"),
            ]
            for given, kind, text in rows:
                async with AsyncClient(inference=where, timeout_seconds=0.5, **given) as client:
                    with pytest.raises(kind, match=text):
                        await client.server_live()
            with pytest.raises(aiohttp.ClientError):
                async with aiohttp.ClientSession() as session:
                    await session.get(f"http://127.0.0.1:{http_port}/")
    async with open_grpc_server("127.0.0.1:0", [], lambda _: None, drain_seconds=0) as plain:
        where = f"grpcs://127.0.0.1:{plain.port}"
        async with AsyncClient(inference=where, timeout_seconds=0.5) as client:
            with pytest.raises(errors.FailedPrecondition, match="does not speak TLS") as refused:
                await client.server_live()
            assert "TLS_FAILED" == refused.value.reason


async def test_a_client_shows_its_new_certificate(tmp_path: Path) -> None:
    """To the next call, over a new connection; a call under way ends on the one it began on."""
    folder = tls_folder(tmp_path)
    alice = folder.pair("alice", ALICE)
    async with _seen(folder, "required") as (servicer, where):
        shown = {"tls_cert": alice.certificate, "tls_key": alice.key}
        given: dict[str, Any] = {"tls_ca": folder.ca, **shown}
        async with AsyncClient(inference=where, **given) as client:
            for name in ("alice", "bob", "carol"):
                names = type(ALICE)((), (), [f"spiffe://headrace/{name}"])
                folder.pair("alice", names)
                assert await client.server_live()
    uris = [certificate.uris[0] for certificate, _ in servicer.seen if certificate]
    assert ["spiffe://headrace/alice", "spiffe://headrace/bob", "spiffe://headrace/carol"] == uris


async def test_authorities_of_grpc_callers_can_be_replaced(tmp_path: Path) -> None:
    """The next connection is verified by the new ones."""
    folder, next_one = tls_folder(tmp_path), tls_folder(tmp_path, "next")
    alice = folder.pair("alice", ALICE)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(folder.ca.read_bytes())
    given: dict[str, Any] = {"tls_ca": trusted, "timeout_seconds": 0.5}
    given |= {"tls_cert": alice.certificate, "tls_key": alice.key}
    async with _seen(folder, "required") as (_, where):
        async with AsyncClient(inference=where, **given) as client:
            assert await client.server_live()
        folder.ca.write_bytes(next_one.ca.read_bytes())
        async with AsyncClient(inference=where, **given) as client:
            with pytest.raises(errors.Unavailable):
                await client.server_live()


@pytest.mark.parametrize("kind", ["grpc", "http", "relay"])
async def test_strangers_that_never_finish_a_handshake(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent ones are ended in time, those that send anything else at once, and others are served on."""
    monkeypatch.setattr(listening, "HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr(grpc_serving, "HANDSHAKE_SECONDS", 0.3)
    folder = tls_folder(tmp_path)
    pair, auth = folder.server(), "optional" if kind == "relay" else "off"
    async with open_server_tls(_settings(folder, pair, auth)) as tls:
        app = HttpApp(lambda path: path)
        async with (
            open_http_server(app, "127.0.0.1", 0, tls=tls) as http_port,
            open_grpc_server("127.0.0.1:0", [], lambda _: None, drain_seconds=0, tls=tls) as server,
        ):
            port = http_port if kind == "http" else server.port
            sent = [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", bytes(1000)] * 25
            streams = [await asyncio.open_connection("127.0.0.1", port) for _ in sent]
            for (_, writer), data in zip(streams, sent, strict=True):
                writer.write(data)
            address = f"127.0.0.1:{port}"
            protocol = "http/1.1" if kind == "http" else "h2"
            shown = await asyncio.to_thread(shown_by, address, folder, protocol)
            assert pair.certificate.read_bytes() == shown
            async with asyncio.timeout(20):
                for reader, writer in streams:
                    with suppress(ConnectionError):
                        await reader.read()  # to its end
                    writer.close()
