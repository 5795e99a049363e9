"""What every service tells those who operate it: liveness, readiness and Prometheus metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from headrace.service.http.answers import Response, json_response
from headrace.service.http.app import HttpApp
from headrace.service.http.requests import Request

ReadinessProbe = Callable[[], tuple[bool, Mapping[str, object]]]
"""Says whether the service is ready, and why or why not, fact by fact."""

Aside = Callable[[Callable[[], bytes]], Awaitable[bytes]]
"""Runs what takes long where it holds up nobody, and gives what it returns."""


def add_operations_routes(
    app: HttpApp, metrics: CollectorRegistry, readiness: ReadinessProbe
) -> None:
    """Add GET /healthz, /readyz (200 or 503, with the reasons as JSON) and /metrics."""
    add_health_routes(app, readiness)
    add_metrics_route(app, metrics)


def add_health_routes(app: HttpApp, readiness: ReadinessProbe) -> None:
    """Add GET /healthz and /readyz (200 or 503, with the reasons as JSON)."""

    async def healthz(_: Request) -> Response:
        return json_response({"live": True})

    async def readyz(_: Request) -> Response:
        ready, facts = readiness()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return json_response({"ready": ready} | dict(facts), status=status)

    app.add("GET", "/healthz", healthz)
    app.add("GET", "/readyz", readyz)


async def _here(work: Callable[[], bytes]) -> bytes:
    return work()


def add_metrics_route(app: HttpApp, metrics: CollectorRegistry, aside: Aside = _here) -> None:
    """Add GET /metrics in the format that the scraper accepts, written on the loop or `aside`.

    Whoever has pages of megabytes writes them aside; then its collectors are asked by another thread.
    """

    async def exposition(request: Request) -> Response:
        encode, content_type = choose_encoder(request.head.get("accept"))
        return Response(await aside(lambda: encode(metrics)), content_type)

    app.add("GET", "/metrics", exposition)
