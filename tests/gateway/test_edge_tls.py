"""TLS at the edge: who is believed to be who, and certificates that change while callers call."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import addresses
from headrace.tls.authority import Issued
from tests.gateway.envoy import needs_envoy
from tests.gateway.fixtures import Certificates, Served, flowing, infer, request, served

pytestmark = needs_envoy

LONG = pytest.mark.toolchain
ALICE = "spiffe://headrace/ns/ml/sa/alice"


def credentials(trusted: Certificates, own: Issued | None = None) -> grpc.ChannelCredentials:
    """Credentials of a caller, with or without a certificate of its own."""
    ca = trusted.ca.read_bytes()
    if own is None:
        return grpc.ssl_channel_credentials(ca)
    return grpc.ssl_channel_credentials(ca, own.key, own.certificate)


async def outcome(edge: Served, trusted: Certificates, own: Issued | None, name: str = "") -> str:
    """OK, or the status that a caller is told."""
    metadata = (("x-request-id", name), ("x-forwarded-client-cert", "URI=spiffe://headrace/admin"))
    async with grpc.aio.secure_channel(edge.address, credentials(trusted, own)) as channel:
        try:
            await infer(channel)(request(), metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


@pytest.mark.parametrize("wanted", ["optional", pytest.param("required", marks=LONG)])
async def test_who_shows_a_certificate_is_told_of_and_nobody_else(
    redis_url: str, tmp_path: Path, wanted: str
) -> None:
    """Its names go to the replica in place of what a caller said; another authority's is refused."""
    ours, others = Certificates.make(tmp_path / "ours"), Certificates.make(tmp_path / "others")
    cert, key = ours.write(ours.server(), "server")
    tls: dict[str, Any] = {
        "tls_cert": cert,
        "tls_key": key,
        "tls_client_ca": ours.ca,
        "tls_client_auth": wanted,
    }
    async with served(redis_url, tmp_path, **tls) as edge:
        told = [
            await outcome(edge, ours, ours.caller(ALICE), "alice"),
            await outcome(edge, ours, None, "nobody"),
            await outcome(edge, ours, others.caller(ALICE)),
        ]
        alice = (await edge.headers_of("alice"))["x-forwarded-client-cert"]
        nobody = await edge.headers_of("nobody") if wanted == "optional" else {}
    assert ["OK", "OK" if wanted == "optional" else "UNAVAILABLE", "UNAVAILABLE"] == told
    assert (True, False) == (f"URI={ALICE}" in alice, "admin" in alice)
    assert "x-forwarded-client-cert" not in nobody


@pytest.mark.toolchain
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_versions_of_tls_are_refused(redis_url: str, tmp_path: Path) -> None:
    """1.2 is the oldest."""
    ours = Certificates.make(tmp_path / "ours")
    cert, key = ours.write(ours.server(), "server")
    async with served(redis_url, tmp_path, tls_cert=cert, tls_key=key) as edge:
        context = ssl.create_default_context(cafile=str(ours.ca))
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        host, port = addresses.split(edge.address)
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost")


async def _page(session: aiohttp.ClientSession) -> str:
    return await (await session.get("/metrics")).text()


async def _shown(edge: Served) -> bytes:
    """The certificate that a new connection is shown, in PEM."""
    host, port = addresses.split(edge.address)
    shown = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
    return shown.encode()


def _by_renaming(folder: Path, new: Issued) -> None:
    for name, content in (("tls.crt", new.certificate), ("tls.key", new.key)):
        (folder / "new").write_bytes(content)
        (folder / "new").replace(folder / name)


def _by_writing_over(folder: Path, new: Issued) -> None:
    (folder / "tls.crt").write_bytes(new.certificate)
    (folder / "tls.key").write_bytes(new.key)


def _by_a_link(folder: Path, new: Issued) -> None:
    version = folder.parent / f"version-{len(new.certificate)}-{hash(new.certificate)}"
    version.mkdir()
    _by_writing_over(version, new)
    (folder.parent / "link").symlink_to(version)
    (folder.parent / "link").replace(folder)


@pytest.mark.parametrize(
    "replace",
    [
        _by_renaming,
        pytest.param(_by_writing_over, marks=LONG),
        pytest.param(_by_a_link, marks=LONG),
    ],
)
async def test_a_certificate_is_replaced_while_callers_call(
    redis_url: str, tmp_path: Path, replace: Callable[[Path, Issued], None]
) -> None:
    """The next connections see the new one; no call fails, and a half-written pair changes nothing."""
    ours = Certificates.make(tmp_path / "ours")
    first, second = ours.server(), ours.server()
    folder = tmp_path / "current"
    if replace is _by_a_link:
        (tmp_path / "version-0").mkdir()
        folder.symlink_to(tmp_path / "version-0")
    else:
        folder.mkdir()
    _by_writing_over(folder, first)
    tls: dict[str, Any] = {"tls_cert": folder / "tls.crt", "tls_key": folder / "tls.key"}
    async with served(redis_url, tmp_path, **tls) as edge, flowing(edge, credentials(ours)) as told:
        assert first.certificate == await _shown(edge)
        replace(folder, second)
        async with asyncio.timeout(10):
            while await _shown(edge) != second.certificate:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        (folder / "tls.key").write_bytes(b"half a k")
        async with aiohttp.ClientSession(f"http://{edge.gateway.http_address}") as session:
            async with asyncio.timeout(10):
                while "headrace_tls_files_usable 0.0" not in await _page(session):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        assert second.certificate == await _shown(edge)
    assert ({"OK"}, True) == (set(told), told["OK"] > 0)
