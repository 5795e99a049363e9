"""Listens on a port, keeps its connections, ends those that are silent, and closes draining."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from headrace.security.credentials import GATEWAY_SOCKET, PeerCertificate
from headrace.service.http.connection import Connection
from headrace.service.http.heads import HeadParser
from headrace.service.http.hosts import State
from headrace.service.http.paced import PacedProtocol
from headrace.service.http.requests import Application
from headrace.service.listening import SHUTDOWN_SECONDS, listen
from headrace.tls.servers import HTTP_PROTOCOLS, ServerTls

_ENDING_SECONDS = SHUTDOWN_SECONDS
"""How long what a client still sends is dropped after the last answer: a reset might lose that answer."""


SILENCE_SECONDS = 30.0
"""A client that sends nothing more of a request for so long is given up; it would hold what it sent."""

UNREAD_SECONDS = 60.0
"""A client that reads nothing of its answer for so long is given up: the answer is kept for it."""

IDLE_SECONDS = 3630.0
"""A connection without a request ends after so long; proxies keep theirs for up to an hour."""

DRAIN_SECONDS = 5.0
"""The time that requests have to be answered when the server closes."""

_FAREWELL_SECONDS = 0.5
"""How long a closing server waits for clients to end TLS, too: those that are idle do not."""

_SWEEP_SECONDS = 0.25
_STALL_SECONDS = 2.0
"""If sweeps are so far apart, the process stood still: nobody was silent, nobody was heard."""


class Server:
    """What connections share."""

    def __init__(
        self, application: Application, certificate_of_all: PeerCertificate | None = None
    ) -> None:
        self.application = application
        self.certificate_of_all = certificate_of_all
        """What stands for the certificate of whoever connects, where that is one known beforehand."""
        self.parser = HeadParser()
        self.connections: set[Connection] = set()
        self.is_closing = False
        self.now = asyncio.get_running_loop().time()

    def sweep(self, now: float) -> None:
        """End the connections that have been silent for too long by now."""
        stood_still = now - self.now > _STALL_SECONDS
        self.now = now
        limits = {
            State.IDLE: IDLE_SECONDS,
            State.HEAD: SILENCE_SECONDS,
            State.BODY: SILENCE_SECONDS,
            State.ENDING: _ENDING_SECONDS,
        }
        for connection in list(self.connections):
            if stood_still or connection.reads():
                connection.heard = now
            elif not connection.is_writable:
                if now - connection.heard > UNREAD_SECONDS:
                    connection.abort()
            elif now - connection.heard > limits.get(connection.state, math.inf):
                connection.silent(SILENCE_SECONDS)

    async def drain(self) -> None:
        """Close connections as they have nothing to answer any more; all of them in the end."""
        self.is_closing = True
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_SECONDS
        told: dict[Connection, float] = {}
        while self.connections and (now := loop.time()) < until:
            for connection in list(self.connections):
                if connection.state in (State.IDLE, State.HEAD, State.ENDING):
                    connection.close()
                    if now - told.setdefault(connection, now) > _FAREWELL_SECONDS:
                        connection.abort_if_sent()
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def open_http_server(
    application: Application,
    host: str,
    port: int,
    *,
    shares_port: bool = False,
    tls: ServerTls | None = None,
) -> AsyncIterator[int]:
    """Serve an application on `host:port` while inside; gives the port it got (0 asks for a free one).

    Where it `shares_port`, other servers that do may listen there, too. With `tls` the port speaks nothing
    else.

    On leaving, what is being answered has a while to be. Raises FailedPrecondition (ADDRESS_IN_USE) where
    the address cannot be bound.
    """
    server = Server(application)
    listening = await listen(
        lambda: PacedProtocol(Connection(server)) if tls else Connection(server),
        host,
        port,
        tls=tls,
        protocols=HTTP_PROTOCOLS,
        shares_port=shares_port,
    )
    async with _kept(server, listening):
        yield int(listening.sockets[0].getsockname()[1])


@asynccontextmanager
async def _kept(server: Server, listening: asyncio.Server) -> AsyncIterator[None]:
    """Look after the connections while inside; on leaving, close them, draining."""
    sweeping = asyncio.create_task(_sweep(server))
    try:
        yield
    finally:
        listening.close()
        await server.drain()
        sweeping.cancel()
        await asyncio.wait([sweeping])


@asynccontextmanager
async def open_http_socket(
    application: Application, path: Path, *, of_gateway: bool = False
) -> AsyncIterator[None]:
    """Serve an application on a Unix socket while inside, for this account alone.

    One `of_gateway` is reached by a gateway alone, whose word on callers' certificates counts. Raises
    OSError.
    """
    server = Server(application, GATEWAY_SOCKET if of_gateway else None)
    listening = await asyncio.get_running_loop().create_unix_server(
        lambda: Connection(server), str(path)
    )
    async with _kept(server, listening):
        yield


async def _sweep(server: Server) -> None:
    loop = asyncio.get_running_loop()
    while True:
        server.sweep(loop.time())
        await asyncio.sleep(_SWEEP_SECONDS)
