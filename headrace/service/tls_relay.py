"""Ends TLS before a gRPC server that verifies certificates only where it requires one.

gRPC's Python API knows servers that require a client's certificate and servers that ask for none. Where a
certificate is optional, this listens on the port, verifies what is shown, and hands the bytes on to the
server's Unix socket, each connection by one of its own: its name tells the server whose it is.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from headrace import addresses
from headrace.security.credentials import PeerCertificate
from headrace.service.listening import listen
from headrace.service.socket_folders import short_temporary_folder
from headrace.tls.peer_certificate import from_peercert
from headrace.tls.servers import GRPC_PROTOCOLS, ServerTls

_SERVER = "server.sock"
_LAST_WORDS_SECONDS = 1.0
_STEPS = 3
"""Of the event loop, until a connection that is aborted has ended, TLS and what is below."""
_LONGEST_NAME = "headrace-tls-xxxxxxxx/c99999999999999"


@dataclass(frozen=True, slots=True)
class RelayedCaller:
    """Who is at the other end: the address, as gRPC writes it, and the verified certificate, if any."""

    peer: str
    certificate: PeerCertificate | None


@dataclass(slots=True)
class Relay:
    """A port whose connections go on to a Unix socket in a private folder."""

    folder: Path
    callers: dict[str, RelayedCaller] = field(default_factory=dict)
    """By the peer that the server sees."""
    halves: set[_Half] = field(default_factory=set)
    """The open sides of connections."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def target(self) -> str:
        """The address at which the server has to listen."""
        return addresses.unix_target(self.folder / _SERVER)

    def next_name(self) -> Path:
        """A name for a connection, which the server sees."""
        return self.folder / f"c{next(self._numbers)}"


@asynccontextmanager
async def open_relay_folder() -> AsyncIterator[Relay]:
    """A relay whose server can be opened; its folder is gone on leaving. Raises FailedPrecondition."""
    within = short_temporary_folder(_LONGEST_NAME)
    folder = Path(tempfile.mkdtemp(prefix="headrace-tls-", dir=within))
    relay = Relay(folder)
    try:
        yield relay
    finally:
        await _end(relay)
        shutil.rmtree(folder, ignore_errors=True)


async def _end(relay: Relay) -> None:
    """Send what the server, which has ended, still said, and end all connections."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _LAST_WORDS_SECONDS
    while any(half.has_more for half in relay.halves) and loop.time() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    for half in list(relay.halves):
        half.abort()
    for _ in range(_STEPS):
        await asyncio.sleep(0)


@asynccontextmanager
async def relaying(
    relay: Relay, address: str, tls: ServerTls, *, shares_port: bool
) -> AsyncIterator[int]:
    """Listen while inside; gives the port. Raises FailedPrecondition (ADDRESS_IN_USE)."""
    host, port = addresses.split(address)
    server = await listen(
        lambda: _Outside(relay),
        host,
        int(port),
        tls=tls,
        protocols=GRPC_PROTOCOLS,
        shares_port=shares_port,
    )
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


class _Half(asyncio.Protocol):
    """One side of a connection; what comes is written to the other side, as fast as that is read."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None

    @property
    def has_more(self) -> bool:
        """Return whether something of the other side is still to be sent."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def abort(self) -> None:
        """End it at once."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.relay.halves.add(self)
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """This side reads slowly: read no more of the other."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """This side has read."""
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # why does not matter
        """It has ended: so does the other, once what it is to get was sent."""
        self.transport = None
        self.relay.halves.discard(self)
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.close()


class _Outside(_Half):
    """A client's side. Nothing is read of it before the server's side is there."""

    def __init__(self, relay: Relay) -> None:
        super().__init__(relay)
        self._seen = ""
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over: connect to the server."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._opening = asyncio.get_running_loop().create_task(self._connect(self.transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        relay, name = self.relay, self.relay.next_name()
        self._seen = addresses.unix_target(name)
        certificate = from_peercert(transport.get_extra_info("peercert"))
        relay.callers[self._seen] = RelayedCaller(
            _peer(transport.get_extra_info("peername")), certificate
        )
        inside = _Half(relay)
        inside.other, self.other = self, inside
        try:
            await asyncio.get_running_loop().create_unix_connection(
                lambda: inside, sock=_connected(name, relay.folder / _SERVER)
            )
        except OSError:  # the server is closing
            transport.abort()
            return
        if transport.is_closing():
            assert inside.transport is not None
            inside.transport.close()
        else:
            transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone."""
        super().connection_lost(error)
        self.relay.callers.pop(self._seen, None)


def _connected(name: Path, server: Path) -> socket.socket:
    """A connection that has a name; the file of it is not needed any more. Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(name))
        made.setblocking(False)
        made.connect(str(server))  # a Unix socket's is there at once, or is refused
    except BaseException:
        made.close()
        raise
    finally:
        name.unlink(missing_ok=True)
    return made


def _peer(name: object) -> str:
    if not isinstance(name, tuple):
        return ""
    kind = "ipv6" if ":" in str(name[0]) else "ipv4"
    return f"{kind}:{addresses.join(str(name[0]), int(name[1]))}"
