"""An HTTP server with what every service has: liveness, readiness and Prometheus metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from headrace import errors

Readiness = Callable[[], tuple[bool, Mapping[str, object]]]
"""Says whether the service is ready, and why or why not, fact by fact."""

_SHUTDOWN_SECONDS = 5.0


@asynccontextmanager
async def open_http_server(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` on `host:port` while inside; gives the port it got (0 asks for a free one).

    A handler is cancelled when its client goes away, and bodies reach it as they were sent: whoever
    takes compressed ones bounds what they become. Raises FailedPrecondition (ADDRESS_IN_USE) where the
    address cannot be bound.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        handler_cancellation=True,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        await _start(runner, host, port)
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _start(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise errors.FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port (0 takes a free one)",
            facts={"address": f"{host}:{port}"},
        ) from error


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
