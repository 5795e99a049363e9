"""A registry and a replica in this process that speak TLS, and their clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from headrace.client import AsyncClient, read_client_settings
from headrace_inference.app import Replica
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.rpc.replica_fixtures import running_replica
from tests.tls_files import Pair, TlsFolder


def served(pair: Pair, **more: Any) -> dict[str, Any]:
    """The settings of a service that shows this certificate."""
    return {"tls_cert": pair.certificate, "tls_key": pair.key, **more}


def calling(folder: TlsFolder, pair: Pair | None = None) -> dict[str, Any]:
    """The settings of a service that calls others over TLS."""
    shown = {"peer_tls_cert": pair.certificate, "peer_tls_key": pair.key} if pair else {}
    return {"peer_tls_ca": folder.ca, **shown}


@dataclass(frozen=True, slots=True)
class TlsSuite:
    """A registry and a replica that speak TLS."""

    registry: RunningRegistry
    replica: Replica

    def client(self, **given: Any) -> AsyncClient:
        """A client of both; whoever asks closes it."""
        where = {
            "registry": self.registry.address,
            "inference": self.replica.fronts.grpc_address,
        }
        return AsyncClient(settings=read_client_settings({}, **where | given))


@asynccontextmanager
async def open_tls_suite(
    redis_url: str, namespace: str, folder: Path, shown: dict[str, Any], peers: dict[str, Any]
) -> AsyncIterator[TlsSuite]:
    """A suite whose services have the settings `shown`, and whose replica calls with `peers`."""
    async with AsyncExitStack() as stack:
        opening = running_registry(redis_url, namespace, folder / "registry", **shown)
        registry = await stack.enter_async_context(opening)
        more = {"namespace": namespace, "join_seconds": 0.0, "grace_seconds": 0.0}
        replica = await stack.enter_async_context(
            running_replica(
                redis_url, folder / "replica", registry.address, **more, **shown, **peers
            )
        )
        yield TlsSuite(registry, replica)
        await asyncio.sleep(0)


def http_context(folder: TlsFolder, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder.ca))
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def shown_by(address: str, folder: TlsFolder, protocol: str) -> bytes:
    """The certificate that a new client gets to see."""
    host, port = address.rsplit(":", 1)
    context = http_context(folder)
    context.set_alpn_protocols([protocol])
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        assert protocol == secured.selected_alpn_protocol()
        der = secured.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()


async def page_of(url: str, context: ssl.SSLContext) -> str:
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
        return await response.text()
