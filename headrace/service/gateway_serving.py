"""Serves a gateway on this machine beside a service's ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from headrace.service.gateway_sockets import GatewaySockets, gateway_sockets
from headrace.service.http.requests import Application
from headrace.service.http.server import open_http_socket


@asynccontextmanager
async def open_sockets(
    folder: Path | None, application: Application | None = None
) -> AsyncIterator[GatewaySockets | None]:
    """The sockets of a service that has ports as well; the application is served on the one for HTTP.

    None where there is no folder. Whoever serves gRPC takes the other. Raises as `gateway_sockets`.
    """
    if folder is None:
        yield None
        return
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(gateway_sockets(folder))
        if application is not None:
            opening = open_http_socket(application, sockets.http, of_gateway=True)
            await stack.enter_async_context(opening)
        yield sockets
