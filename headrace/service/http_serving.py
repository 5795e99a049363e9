"""An HTTP server with what every service has: liveness, readiness and Prometheus metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_protocol import _ErrInfo
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from headrace import addresses, errors

logger = logging.getLogger(__name__)

Refused = Callable[[str], None]
"""Hears of a request that was refused before anybody could tell what it asked for, by its reason."""

ReadinessProbe = Callable[[], tuple[bool, Mapping[str, object]]]
"""Says whether the service is ready, and why or why not, fact by fact."""

MAX_HEADER_BYTES = 64 * 1024
"""The path and all headers of a request together, as over gRPC; tokens of identity providers are long."""

_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
_WHAT_IS_TAKEN = (
    f"of more than {MAX_HEADER_BYTES} bytes is not taken; send shorter headers, or fewer"
)

_HTTP_2 = "Pause on PRI"
"""What aiohttp's parser says of the first line that HTTP/2 begins with."""

_SHUTDOWN_SECONDS = 5.0
_MAX_ERROR_TEXT = 300
_BACKLOG = 128
_FAULTS_OF_CALLERS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


@asynccontextmanager
async def open_http_server(
    app: web.Application,
    host: str,
    port: int,
    refused: Refused = lambda _: None,
    *,
    shares_port: bool = False,
) -> AsyncIterator[int]:
    """Serve `app` on `host:port` while inside; gives the port it got (0 asks for a free one).

    A handler is cancelled when its client goes away, and bodies reach it as they were sent: whoever
    takes compressed ones bounds what they become. Where it `shares_port`, other servers that do may listen
    there, too. What is no HTTP is answered in JSON, too, and so are
    requests with more than MAX_HEADER_BYTES in front of their body: `refused` hears of both. Raises
    FailedPrecondition (ADDRESS_IN_USE) where the address cannot be bound.
    """
    app.middlewares.insert(0, _limited_headers(refused))
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_SECONDS, handler_cancellation=True)
    await runner.setup()
    try:
        with closing(await _listen(runner, host, port, refused, shares_port=shares_port)) as server:
            yield int(server.sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()


async def _listen(
    runner: web.AppRunner, host: str, port: int, refused: Refused, *, shares_port: bool
) -> asyncio.Server:
    loop = asyncio.get_running_loop()

    def protocol() -> asyncio.Protocol:
        assert runner.server is not None
        return _Connection(
            runner.server,
            refused,
            loop=loop,
            access_log=None,  # turns it off, as AppRunner itself does
            auto_decompress=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )

    try:
        everywhere = addresses.listening_socket(host, port, _BACKLOG, shares_port=shares_port)
        if everywhere is not None:
            return await loop.create_server(protocol, sock=everywhere, backlog=_BACKLOG)
        bare = addresses.bare_host(host)
        return await loop.create_server(
            protocol, bare, port, backlog=_BACKLOG, reuse_port=shares_port or None
        )
    except OSError as error:
        address = addresses.join(host, port)
        raise errors.FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {address} ({error.strerror}); choose another port (0 takes a free one)",
            facts={"address": address},
        ) from error


class _Connection(web.RequestHandler):
    """One client's connection. What it does wrong is answered in JSON, and no error of ours in the log."""

    __slots__ = ("_refused",)

    def __init__(self, manager: Any, refused: Refused, **options: Any) -> None:
        super().__init__(manager, **options)
        self._refused = refused

    def data_received(self, data: bytes) -> None:
        """Take what came. A body that is not framed as HTTP says fails whoever reads it.

        aiohttp's parser ends a request there and says nothing to its reader, who would wait for the rest;
        and it would answer the connection once more.
        """
        super().data_received(data)
        request = self._current_request
        if request is None or not self._messages or request.content.is_eof():
            return
        last, _ = self._messages[-1]
        if isinstance(last, _ErrInfo):
            self._messages.pop()
            request.content.set_exception(web.RequestPayloadError(last.message))
            self.close()  # when that is answered

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
        if isinstance(exc, LineTooLong):
            status, message = _TOO_LARGE, f"a line {_WHAT_IS_TAKEN}"
        text = " ".join((message or str(exc)).split())[:_MAX_ERROR_TEXT]
        if text.startswith(_HTTP_2):
            text = (
                "this port speaks HTTP/1.1, and what came is HTTP/2, as gRPC clients speak it; give them "
                "the service's gRPC port"
            )
        logger.debug("malformed HTTP: %s", text, extra={"remote": request.remote})
        return _refusal(self._refused, HTTPStatus(status), text)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """An error record for what is our fault, a debug record for what is a caller's."""
        if isinstance(kw.get("exc_info"), _FAULTS_OF_CALLERS):
            logger.debug(*args)
        else:
            super().log_exception(*args, **kw)


def _limited_headers(refused: Refused) -> Middleware:
    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        size = len(request.raw_path) + sum(
            [len(key) + len(value) for key, value in request.raw_headers]
        )
        if size <= MAX_HEADER_BYTES:
            return await handler(request)
        text = f"the request has {size} bytes in front of its body: one {_WHAT_IS_TAKEN}"
        return _refusal(refused, _TOO_LARGE, text)

    return limit


def _refusal(refused: Refused, status: HTTPStatus, text: str) -> web.Response:
    """The answer that a connection ends with; its reason is HTTP's own phrase."""
    reason = status.phrase.upper().replace(" ", "_")
    refused(reason)
    response = web.json_response({"error": text or status.phrase, "reason": reason}, status=status)
    response.force_close()
    return response


def add_operations_routes(
    app: web.Application, metrics: CollectorRegistry, readiness: ReadinessProbe
) -> None:
    """Add GET /healthz, /readyz (200 or 503, with the reasons as JSON) and /metrics."""
    add_health_routes(app, readiness)
    add_metrics_route(app, metrics)


def add_health_routes(app: web.Application, readiness: ReadinessProbe) -> None:
    """Add GET /healthz and /readyz (200 or 503, with the reasons as JSON)."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def readyz(_: web.Request) -> web.Response:
        ready, facts = readiness()
        return web.json_response({"ready": ready} | dict(facts), status=200 if ready else 503)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


Aside = Callable[[Callable[[], bytes]], Awaitable[bytes]]
"""Runs what takes long where it holds up nobody, and gives what it returns."""


async def _here(work: Callable[[], bytes]) -> bytes:
    return work()


def add_metrics_route(
    app: web.Application, metrics: CollectorRegistry, aside: Aside = _here
) -> None:
    """Add GET /metrics in the format that the scraper accepts, written on the loop or `aside`.

    Whoever has pages of megabytes writes them aside; then its collectors are asked by another thread.
    """

    async def exposition(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = await aside(lambda: encode(metrics))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app.router.add_get("/metrics", exposition)
