"""The monitor, put together."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from headrace import addresses
from headrace.monitor.v1 import monitor_service_pb2
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
from headrace_monitor.adapters.registry.link import open_registry_link
from headrace_monitor.adapters.rights import FollowedRights, open_rights
from headrace_monitor.adapters.system_time import SystemTime
from headrace_monitor.adapters.window_store import open_window_store
from headrace_monitor.app import alerts, drift, profiles, quality
from headrace_monitor.app.console import console
from headrace_monitor.domain.clock import TimeSource, start_clock
from headrace_monitor.domain.ingestion.books import Book
from headrace_monitor.domain.ingestion.ingestion import Ingestion, open_ingestion
from headrace_monitor.domain.ingestion.report_memory import ReportMemory
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.ledger.windows import resolutions
from headrace_monitor.domain.quality.recent_requests import RecentRequests
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.settings import Settings
from headrace_monitor.wire.console.api.alerts import AlertsApi
from headrace_monitor.wire.console.api.attention import AttentionCounts
from headrace_monitor.wire.console.api.drift import DriftApi
from headrace_monitor.wire.console.api.profiles import ProfilesApi
from headrace_monitor.wire.console.api.requests import RequestsApi
from headrace_monitor.wire.grpc.alert_servicer import AlertServicer
from headrace_monitor.wire.grpc.drift_servicer import register as register_drift
from headrace_monitor.wire.grpc.servicer import MonitorServicer, register
from headrace_monitor.wire.sight import Sight

_MONITOR = monitor_service_pb2.DESCRIPTOR.services_by_name["MonitorService"]

SERVICES = (_MONITOR, drift.SERVICE, quality.SERVICE, alerts.SERVICE, profiles.SERVICE)
"""Those of this project that its gRPC port serves."""

_MIB = 2**20
MAX_MESSAGE_BYTES = 4 * _MIB
"""A hundred versions whose histograms are full have two. gRPC refuses what is larger by its announced
length, before it is read."""


Register = Callable[[grpc.aio.Server], None]
"""Adds the methods of a service to a server."""


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
    async with (
        open_server_tls(settings) as tls,
        open_window_store(settings.data) as (store, snapshot),
    ):
        kept = resolutions(settings.kept_hours)
        memory = settings.window_memory_mb * _MIB
        source = times or SystemTime()
        clock = start_clock(source, snapshot.steady_ns or source.now_ns())
        ledger = Ledger(kept, memory, snapshot, clock(), settings.limits)
        with (
            ThreadPoolExecutor(1, "reports") as reports,
            ThreadPoolExecutor(1, "questions") as questions,
            open_call_spans(settings, "monitor") as spans,
        ):
            query_engine = QueryEngine(ledger, clock, questions)
            quality_book = quality.make_book(settings)
            alert_book = alerts.build_book(settings)
            drift_parts = drift.make_parts(settings)
            layouts = KnownLayouts()
            profile_book = profiles.make_book(settings, layouts)
            recent_requests = RecentRequests()
            books: tuple[Book, ...] = (
                profile_book,
                quality_book,
                recent_requests,
                drift_parts.book,
                alert_book,
            )
            calls = CallMetrics(SERVICES, spans=spans)
            registry = metrics.build_registry(ledger, clock, calls)
            registry.register(drift_parts.gauges)
            registry.register(TlsMetrics(tls))
            async with (
                open_ingestion(ledger, store, clock, settings.limits, reports, books) as ingestion,
                open_rights(settings, registry) as rights,
                open_registry_link(settings, registry) as link,
                drift.open_drift(drift_parts, ingestion, clock, link) as drift_servicer,
                quality.open_quality(
                    quality_book, ingestion, clock, questions, registry
                ) as quality_parts,
                alerts.open_alerts(
                    settings,
                    alert_book,
                    alerts.sources_of(
                        query_engine,
                        ledger,
                        clock,
                        link.catalog,
                        drift_parts.book,
                        quality_parts.latest,
                    ),
                    ingestion,
                    query_engine,
                    clock,
                    registry,
                ) as alert_parts,
            ):
                servicer = MonitorServicer(
                    ingestion,
                    query_engine,
                    ReportMemory(settings.report_memory_mb * _MIB, settings.max_replicas),
                    stopping,
                    max_versions=settings.max_report_versions,
                    access=rights.access,
                    layouts=layouts,
                )
                alert_servicer = AlertServicer(alert_parts, rights.access, stopping)
                profile_servicer = profiles.make_servicer(profile_book, settings, clock, questions)
                services: list[Register] = [
                    functools.partial(register, servicer),
                    functools.partial(register_drift, drift_servicer),
                    alerts.serve_alerts(alert_servicer),
                    profiles.serve_profiles(profile_servicer),
                ]
                pages = console(
                    settings,
                    query_engine,
                    rights.access,
                    link,
                    AlertsApi(alert_servicer, Sight(rights.access)),
                    DriftApi(drift_servicer),
                    RequestsApi(recent_requests),
                    ProfilesApi(profile_servicer),
                    attention=AttentionCounts(alert_book, drift_parts.book.open_findings),
                    is_secure=tls is not None,
                )
                services.append(
                    quality.serve_quality(quality_parts.desk, stopping, rights.access, pages)
                )
                add_health_routes(pages, functools.partial(_readiness, ledger, ingestion, rights))
                add_metrics_route(pages, registry, query_engine.run_in_thread)
                async with (
                    open_sockets(settings.gateway_folder, pages) as sockets,
                    open_http_server(
                        pages, settings.host, settings.http_port, tls=tls
                    ) as http_port,
                    _open_grpc(settings, services, calls, tls, sockets, rights.access) as grpc_port,
                ):
                    yield Monitor(grpc_port, http_port, frozenset(pages.router.routes()))


@asynccontextmanager
async def _open_grpc(
    settings: Settings,
    services: Sequence[Register],
    calls: CallMetrics,
    tls: ServerTls | None,
    sockets: GatewaySockets | None,
    access: Access,
) -> AsyncIterator[int]:
    def register_all(server: grpc.aio.Server) -> None:
        for add in services:
            add(server)

    async with grpc_serving.open_grpc_server(
        addresses.join(settings.host, settings.grpc_port),
        [service.full_name for service in SERVICES],
        register_all,
        drain_seconds=settings.drain_seconds,
        max_message_bytes=MAX_MESSAGE_BYTES,
        calls=calls,
        tls=tls,
        unix_target=sockets.grpc_target if sockets else "",
        gate=Gate(access, certificate_or_gateway if sockets else peer_certificate),
    ) as server:
        yield server.port


def _readiness(
    ledger: Ledger, ingestion: Ingestion, rights: FollowedRights
) -> tuple[bool, Mapping[str, object]]:
    """Ready while reports are stored, and, where callers have to be somebody, once it knows who is."""
    return rights.are_known and not ingestion.failed, {
        "storing": not ingestion.failed,
        "reports": ledger.totals.reports,
        "window_bytes": ledger.windows.size_bytes,
        **rights.facts(),
    }
