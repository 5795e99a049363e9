"""An HTTP server with what every service has: liveness, readiness and Prometheus metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from headrace import addresses, errors

logger = logging.getLogger(__name__)

Readiness = Callable[[], tuple[bool, Mapping[str, object]]]
"""Says whether the service is ready, and why or why not, fact by fact."""

_SHUTDOWN_SECONDS = 5.0
_MAX_ERROR_TEXT = 300
_BACKLOG = 128
_FAULTS_OF_CALLERS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


@asynccontextmanager
async def open_http_server(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` on `host:port` while inside; gives the port it got (0 asks for a free one).

    A handler is cancelled when its client goes away, and bodies reach it as they were sent: whoever
    takes compressed ones bounds what they become. What is no HTTP is answered in JSON, too. Raises
    FailedPrecondition (ADDRESS_IN_USE) where the address cannot be bound.
    """
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_SECONDS, handler_cancellation=True)
    await runner.setup()
    try:
        with closing(await _listen(runner, host, port)) as server:
            yield int(server.sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()

    def protocol() -> asyncio.Protocol:
        assert runner.server is not None
        return _Connection(
            runner.server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # turns it off, as AppRunner itself does
            auto_decompress=False,
        )

    try:
        everywhere = addresses.listening_socket(host, port, _BACKLOG)
        if everywhere is not None:
            return await loop.create_server(protocol, sock=everywhere, backlog=_BACKLOG)
        bare = addresses.bare_host(host)
        return await loop.create_server(protocol, bare, port, backlog=_BACKLOG)
    except OSError as error:
        address = addresses.join(host, port)
        raise errors.FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {address} ({error.strerror}); choose another port (0 takes a free one)",
            facts={"address": address},
        ) from error


class _Connection(web.RequestHandler):
    """One client's connection. What it does wrong is answered in JSON, and no error of ours in the log."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP; the connection ends with it."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        text = " ".join((message or str(exc)).split())[:_MAX_ERROR_TEXT]
        logger.debug("malformed HTTP: %s", text, extra={"remote": request.remote})
        phrase = HTTPStatus(status).phrase
        body = {"error": text or phrase, "reason": phrase.upper().replace(" ", "_")}
        response = web.json_response(body, status=status)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """An error record for what is our fault, a debug record for what is a caller's."""
        if isinstance(kw.get("exc_info"), _FAULTS_OF_CALLERS):
            logger.debug(*args)
        else:
            super().log_exception(*args, **kw)


def add_operations_routes(
    app: web.Application, metrics: CollectorRegistry, readiness: Readiness
) -> None:
    """Add GET /healthz, /readyz (200 or 503, with the reasons as JSON) and /metrics."""
    add_health_routes(app, readiness)
    add_metrics_route(app, metrics)


def add_health_routes(app: web.Application, readiness: Readiness) -> None:
    """Add GET /healthz and /readyz (200 or 503, with the reasons as JSON)."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def readyz(_: web.Request) -> web.Response:
        ready, facts = readiness()
        return web.json_response({"ready": ready} | dict(facts), status=200 if ready else 503)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


def add_metrics_route(app: web.Application, metrics: CollectorRegistry) -> None:
    """Add GET /metrics in the format that the scraper accepts."""

    async def exposition(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(metrics), headers={"Content-Type": content_type})

    app.router.add_get("/metrics", exposition)
