"""The services of the monitor's gRPC port."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc

from headrace.monitor.v1 import (
    alert_service_pb2,
    alert_service_pb2_grpc,
    drift_service_pb2,
    drift_service_pb2_grpc,
    monitor_service_pb2,
    peer_service_pb2,
    profile_service_pb2,
    profile_service_pb2_grpc,
    quality_service_pb2,
    quality_service_pb2_grpc,
)
from headrace_monitor.app.books import Books
from headrace_monitor.app.ledger import LedgerParts
from headrace_monitor.app.parts import Parts
from headrace_monitor.domain.ingestion.report_memory import ReportMemory
from headrace_monitor.domain.profiles.profile_questions import ProfileQuestions
from headrace_monitor.settings import Settings
from headrace_monitor.wire.grpc import peer_servicer, servicer
from headrace_monitor.wire.grpc.alert_servicer import AlertServicer
from headrace_monitor.wire.grpc.drift_servicer import DriftServicer
from headrace_monitor.wire.grpc.peer_servicer import PeerServicer
from headrace_monitor.wire.grpc.profile_servicer import ProfileServicer
from headrace_monitor.wire.grpc.quality_servicer import QualityServicer
from headrace_monitor.wire.grpc.servicer import MonitorServicer

SERVICES = (
    monitor_service_pb2.DESCRIPTOR.services_by_name["MonitorService"],
    profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"],
    drift_service_pb2.DESCRIPTOR.services_by_name["DriftService"],
    quality_service_pb2.DESCRIPTOR.services_by_name["QualityService"],
    alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"],
    peer_service_pb2.DESCRIPTOR.services_by_name["PeerService"],
)
"""Those of this project that the port serves."""

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Servicers:
    """What answers the methods of each service."""

    monitor: MonitorServicer
    profiles: ProfileServicer
    drift: DriftServicer
    quality: QualityServicer
    alerts: AlertServicer
    peers: PeerServicer

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add the methods to a server."""
        servicer.register(self.monitor, server)
        profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(self.profiles, server)
        drift_service_pb2_grpc.add_DriftServiceServicer_to_server(self.drift, server)
        quality_service_pb2_grpc.add_QualityServiceServicer_to_server(self.quality, server)
        alert_service_pb2_grpc.add_AlertServiceServicer_to_server(self.alerts, server)
        peer_servicer.register(self.peers, server)


def make_servicers(
    settings: Settings, counted: LedgerParts, books: Books, parts: Parts, stopping: asyncio.Event
) -> Servicers:
    """Make them; their streams end when `stopping` is set."""
    access = parts.rights.access
    kept_seconds = settings.kept_hours * 3600
    return Servicers(
        _monitor_servicer(settings, counted, books, parts, stopping),
        ProfileServicer(
            ProfileQuestions(
                books.profiles,
                counted.clock,
                kept_seconds,
                counted.questions,
                counted.query_engine,
            )
        ),
        DriftServicer(parts.drift),
        QualityServicer(parts.quality.desk, stopping, access),
        AlertServicer(parts.alerts, access, stopping),
        PeerServicer(counted.query_engine),
    )


def _monitor_servicer(
    settings: Settings, counted: LedgerParts, books: Books, parts: Parts, stopping: asyncio.Event
) -> MonitorServicer:
    return MonitorServicer(
        parts.ingestion,
        counted.query_engine,
        ReportMemory(settings.report_memory_mb * _MIB, settings.max_replicas),
        stopping,
        max_versions=settings.max_report_versions,
        access=parts.rights.access,
        layouts=books.layouts,
        prices=settings.prices,
    )
