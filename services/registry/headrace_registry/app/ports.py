"""The registry's ports: its services over gRPC, and health and metrics over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from headrace import addresses
from headrace.registry.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    annotation_service_pb2,
    annotation_service_pb2_grpc,
    reference_service_pb2,
    reference_service_pb2_grpc,
    registry_service_pb2,
)
from headrace.security.access import Access
from headrace.service.call_metrics import CallMetrics
from headrace.service.call_spans import open_call_spans
from headrace.service.gateway_serving import open_sockets
from headrace.service.grpc_admission import Gate, certificate_or_gateway, peer_certificate
from headrace.service.grpc_serving import Register, open_grpc_server
from headrace.service.http.operations import ReadinessProbe, add_operations_routes
from headrace.service.http.pages import About, signposted
from headrace.service.http.server import open_http_server
from headrace.service.tls_serving import TlsMetrics
from headrace.tls.servers import ServerTls
from headrace_registry.adapters.metrics import Metrics
from headrace_registry.settings import Settings
from headrace_registry.wire.access_servicer import AccessServicer
from headrace_registry.wire.annotation_servicer import AnnotationServicer
from headrace_registry.wire.reference_servicer import ReferenceServicer
from headrace_registry.wire.servicer import RegistryServicer
from headrace_registry.wire.watching import add_to_server

SERVICE = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"]
ACCESS_SERVICE = access_service_pb2.DESCRIPTOR.services_by_name["AccessService"]
REFERENCE_SERVICE = reference_service_pb2.DESCRIPTOR.services_by_name["ReferenceService"]
ANNOTATION_SERVICE = annotation_service_pb2.DESCRIPTOR.services_by_name["AnnotationService"]
SERVICES = (SERVICE, ACCESS_SERVICE, REFERENCE_SERVICE, ANNOTATION_SERVICE)
MAX_MESSAGE_BYTES = 16 << 20
"""Four of the largest chunks; a message is held in memory whole before anything can refuse it."""
PING_SECONDS = 30.0
"""A watcher that vanished without a word would keep its place for hours."""

_ABOUT = About(
    "Headrace registry, metrics",
    "This port of the registry is for those who operate it. The registry itself is called over gRPC, at a "
    "port of its own (8100 by default): by `headrace` on the command line, or by headrace.Client.",
    {
        "/metrics": "metrics for Prometheus",
        "/healthz": "whether the process answers",
        "/readyz": "whether the registry is ready, and why not",
    },
)


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry: where it listens."""

    grpc_address: str
    http_address: str


@asynccontextmanager
async def open_ports(
    settings: Settings,
    register: Register,
    metrics: Metrics,
    readiness: ReadinessProbe,
    tls: ServerTls | None,
    access: Access,
) -> AsyncIterator[Registry]:
    """The registry is called while inside, at the addresses that it yields. Raises FailedPrecondition."""
    with open_call_spans(settings, "registry") as spans:
        calls = CallMetrics(list(SERVICES), spans=spans)
        async with _open_ports(settings, register, metrics, readiness, tls, access, calls) as ports:
            yield ports


@asynccontextmanager
async def _open_ports(
    settings: Settings,
    register: Register,
    metrics: Metrics,
    readiness: ReadinessProbe,
    tls: ServerTls | None,
    access: Access,
    calls: CallMetrics,
) -> AsyncIterator[Registry]:
    http = signposted(_ABOUT, access)
    metrics.collectors.register(calls)
    metrics.collectors.register(TlsMetrics(tls))
    add_operations_routes(http, metrics.collectors, readiness)
    address = addresses.join(settings.host, settings.grpc_port)
    async with (
        open_sockets(settings.gateway_folder) as sockets,
        open_http_server(http, settings.host, settings.http_port, tls=tls) as http_port,
        open_grpc_server(
            address,
            [service.full_name for service in SERVICES],
            register,
            drain_seconds=settings.drain_seconds,
            max_message_bytes=MAX_MESSAGE_BYTES,
            calls=calls,
            ping_seconds=PING_SECONDS,
            tls=tls,
            gate=Gate(access, certificate_or_gateway if sockets else peer_certificate),
            unix_target=sockets.grpc_target if sockets else "",
        ) as grpc_server,
    ):
        yield Registry(
            grpc_address=addresses.join(settings.host, grpc_server.port),
            http_address=addresses.join(settings.host, http_port),
        )


def register(
    registry: RegistryServicer,
    access: AccessServicer,
    references: ReferenceServicer,
    annotations: AnnotationServicer,
    server: grpc.aio.Server,
) -> None:
    """Add all services to a server."""
    add_to_server(registry, server)
    access_service_pb2_grpc.add_AccessServiceServicer_to_server(access, server)
    reference_service_pb2_grpc.add_ReferenceServiceServicer_to_server(references, server)
    annotation_service_pb2_grpc.add_AnnotationServiceServicer_to_server(annotations, server)
