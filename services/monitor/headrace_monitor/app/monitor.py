"""The monitor, put together."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from headrace import addresses
from headrace.security.access import Access
from headrace.service import grpc_serving, serving
from headrace.service.call_metrics import CallMetrics
from headrace.service.call_spans import open_call_spans
from headrace.service.gateway_serving import open_sockets
from headrace.service.gateway_sockets import GatewaySockets
from headrace.service.grpc_admission import Gate, certificate_or_gateway, peer_certificate
from headrace.service.http.operations import add_health_routes, add_metrics_route
from headrace.service.http.server import open_http_server
from headrace.service.tls_serving import TlsMetrics, open_server_tls
from headrace.tls.servers import ServerTls
from headrace_monitor.adapters import metrics
from headrace_monitor.adapters.otlp_metrics import open_otlp_metrics
from headrace_monitor.app.books import make_books
from headrace_monitor.app.console import make_console
from headrace_monitor.app.ledger import open_ledger
from headrace_monitor.app.parts import Parts, open_parts
from headrace_monitor.app.services import SERVICES, Servicers, make_servicers
from headrace_monitor.domain.clock import TimeSource
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.settings import Settings
from headrace_monitor.wire.console.console_app import ConsoleApp

MAX_MESSAGE_BYTES = 4 * 2**20
"""A hundred versions whose histograms are full have two. gRPC refuses what is larger by its announced
length, before it is read."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """A running monitor: the ports it got, and the routes of HTTP by verb and template."""

    grpc_port: int
    http_port: int
    routes: frozenset[tuple[str, str]]


async def main(settings: Settings, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set, then drain."""
    async with open_monitor(settings, stopping) as monitor:
        serving.announce_ready(
            {
                "grpc": addresses.join(settings.host, monitor.grpc_port),
                "http": addresses.join(settings.host, monitor.http_port),
            },
            settings.ready_fd,
        )
        await stopping.wait()


@asynccontextmanager
async def open_monitor(
    settings: Settings, stopping: asyncio.Event, times: TimeSource | None = None
) -> AsyncIterator[Monitor]:
    """A monitor that serves while inside; its streams end when `stopping` is set.

    Raises FailedPrecondition where its folder, its TLS files or one of its addresses cannot be used.
    """
    async with open_server_tls(settings) as tls, open_ledger(settings, times) as counted:
        books = make_books(settings)
        with (
            open_call_spans(settings, "monitor") as spans,
            open_otlp_metrics(settings, counted.ledger, books.exemplars.take),
        ):
            calls = CallMetrics(SERVICES, spans=spans)
            registry = metrics.build_registry(counted.ledger, counted.clock, calls)
            registry.register(books.drift.gauges)
            registry.register(TlsMetrics(tls))
            async with open_parts(settings, counted, books, registry) as parts:
                servicers = make_servicers(settings, counted, books, parts, stopping)
                pages = make_console(
                    settings,
                    counted.query_engine,
                    books,
                    parts,
                    servicers,
                    is_secure=tls is not None,
                )
                add_health_routes(pages, functools.partial(_readiness, counted.ledger, parts))
                add_metrics_route(pages, registry, counted.query_engine.run_in_thread)
                async with _open_ports(
                    settings, servicers, pages, calls, tls, parts.rights.access
                ) as ports:
                    yield Monitor(*ports, frozenset(pages.router.routes()))


@asynccontextmanager
async def _open_ports(
    settings: Settings,
    servicers: Servicers,
    pages: ConsoleApp,
    calls: CallMetrics,
    tls: ServerTls | None,
    access: Access,
) -> AsyncIterator[tuple[int, int]]:
    """Serve gRPC and HTTP while inside; yields both ports."""
    async with (
        open_sockets(settings.gateway_folder, pages) as sockets,
        open_http_server(pages, settings.host, settings.http_port, tls=tls) as http_port,
        _open_grpc(settings, servicers, calls, tls, sockets, access) as grpc_port,
    ):
        yield grpc_port, http_port


@asynccontextmanager
async def _open_grpc(
    settings: Settings,
    servicers: Servicers,
    calls: CallMetrics,
    tls: ServerTls | None,
    sockets: GatewaySockets | None,
    access: Access,
) -> AsyncIterator[int]:
    async with grpc_serving.open_grpc_server(
        addresses.join(settings.host, settings.grpc_port),
        [service.full_name for service in SERVICES],
        servicers.add_to,
        drain_seconds=settings.drain_seconds,
        max_message_bytes=MAX_MESSAGE_BYTES,
        calls=calls,
        tls=tls,
        unix_target=sockets.grpc_target if sockets else "",
        gate=Gate(access, certificate_or_gateway if sockets else peer_certificate),
    ) as server:
        yield server.port


def _readiness(ledger: Ledger, parts: Parts) -> tuple[bool, Mapping[str, object]]:
    """Ready while reports are stored, and, where callers have to be somebody, once it knows who is."""
    ingestion, rights = parts.ingestion, parts.rights
    return rights.are_known and not ingestion.failed, {
        "storing": not ingestion.failed,
        "reports": ledger.totals.reports,
        "window_bytes": ledger.windows.size_bytes,
        **rights.facts(),
    }
