"""Listens on a port for connections of asyncio, over TLS where there are certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from headrace import addresses, errors
from headrace.tls.servers import ServerTls

_BACKLOG = 128
HANDSHAKE_SECONDS = 10.0
"""The time that a client has for the handshake of TLS."""

SHUTDOWN_SECONDS = 5.0
"""The time that a client has to say that it, too, ends TLS; what it still sends is dropped meanwhile."""


async def listen(
    protocol: Callable[[], asyncio.Protocol],
    host: str,
    port: int,
    *,
    tls: ServerTls | None = None,
    protocols: Sequence[str] = (),
    shares_port: bool = False,
) -> asyncio.Server:
    """A server of connections on `host:port`, which its caller closes; over TLS it speaks `protocols`.

    Raises FailedPrecondition (ADDRESS_IN_USE) where the address cannot be bound.
    """
    loop = asyncio.get_running_loop()
    secured: dict[str, Any] = {} if tls is None else _secured(tls, protocols)
    try:
        everywhere = addresses.listening_socket(host, port, _BACKLOG, shares_port=shares_port)
        if everywhere is not None:
            return await loop.create_server(protocol, sock=everywhere, backlog=_BACKLOG, **secured)
        bare = addresses.bare_host(host)
        return await loop.create_server(
            protocol, bare, port, backlog=_BACKLOG, reuse_port=shares_port or None, **secured
        )
    except OSError as error:
        address = addresses.join(host, port)
        raise errors.FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {address} ({error.strerror}); choose another port (0 takes a free one)",
            facts={"address": address},
        ) from error


def _secured(tls: ServerTls, protocols: Sequence[str]) -> dict[str, Any]:
    return {
        "ssl": tls.ssl_context(protocols),
        "ssl_handshake_timeout": HANDSHAKE_SECONDS,
        "ssl_shutdown_timeout": SHUTDOWN_SECONDS,
    }
