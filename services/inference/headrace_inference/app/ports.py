"""Opens each port of a replica: gRPC by either front, REST, metrics, and what its siblings call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version as package_version
from pathlib import Path

import grpc
from google.protobuf import duration_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from headrace import addresses
from headrace.inference._pool import POOL
from headrace.inference.v1 import generation_service_pb2
from headrace.security.access import OPEN_ACCESS, Access
from headrace.security.credentials import GATEWAY_SOCKET
from headrace.service.call_metrics import CallMetrics
from headrace.service.gateway_sockets import GatewaySockets
from headrace.service.grpc_admission import Gate, certificate_or_gateway, peer_certificate
from headrace.service.grpc_serving import ConnectionAge, GrpcServer, open_grpc_server
from headrace.service.http.answers import Response
from headrace.service.http.app import Finish
from headrace.service.http.requests import Request
from headrace.service.http.server import open_http_server, open_http_socket
from headrace.service.serving import open_background
from headrace.state.records import ReplicaStage
from headrace.tls.servers import ServerTls
from headrace_inference.adapters.metrics.replica import Meter, ReplicaMetrics
from headrace_inference.adapters.siblings import Sibling
from headrace_inference.app.metrics_server import (
    InFlight,
    metrics_for_siblings,
    open_operations,
)
from headrace_inference.app.readiness import ReplicaReadiness
from headrace_inference.app.socket_folder import OTHERS_NAME, SOCKET_NAME, socket_folder
from headrace_inference.domain.extensions.log_settings import LogSwitches
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.lasting_jobs import keep_running
from headrace_inference.domain.reconciliation.model_control import ModelControl
from headrace_inference.settings import Settings
from headrace_inference.wire.grpc import servicer
from headrace_inference.wire.http2.server import open_stream_endpoint
from headrace_inference.wire.native import server
from headrace_inference.wire.openai.model_names import ServedNames
from headrace_inference.wire.openai.routes import add_openai_routes
from headrace_inference.wire.rest.cors import Cors
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.rest.routes import RestLimits, rest_app
from headrace_inference.wire.server_queries import ServerFacts
from headrace_inference.wire.streams.session import StreamOptions, StreamService

_SIBLINGS_GRPC, _SIBLINGS_METRICS = "grpc.sock", "metrics.sock"


@dataclass(slots=True)
class Traffic:
    """Counts the requests in flight: none before the front is open."""

    counts: list[InFlight] = field(default_factory=list)

    def __call__(self) -> int:
        """The number, now."""
        return sum(count() for count in self.counts)


@dataclass(frozen=True, slots=True)
class Ports:
    """Opens the ports of a replica."""

    settings: Settings
    ingress: Ingress
    readiness: ReplicaReadiness
    calls: CallMetrics
    closing: asyncio.Event
    tls: ServerTls | None = None
    are_shared: bool = False
    siblings_folder: Path | None = None
    """Where other replicas of this account call, in plaintext and as who they are, where the ports speak
    TLS or ask who calls."""
    sockets: GatewaySockets | None = None
    """Where a gateway calls, instead of the ports for gRPC and REST."""

    def grpc_address(self, port: int) -> str:
        """Return where gRPC is served, on this port if on any."""
        if self.sockets is not None:
            return self.sockets.grpc_target
        return addresses.join(self.settings.host, port)

    def for_siblings(self, grpc_address: str, metrics_address: str) -> Sibling:
        """Return where the other replicas of this machine call this one."""
        folder = self.siblings_folder
        if folder is None:
            called_at = map(addresses.reachable, (grpc_address, metrics_address))
        else:
            sockets = folder / _SIBLINGS_GRPC, folder / _SIBLINGS_METRICS
            called_at = map(addresses.unix_target, sockets)
        return Sibling(self.settings.replica_id, *called_at)

    async def open_for_siblings(
        self, stack: AsyncExitStack, facts: ServerFacts, metrics: ReplicaMetrics
    ) -> None:
        """Serve the other replicas of this machine on sockets, where the ports would ask who they are."""
        folder = self.siblings_folder
        if folder is None:
            return
        app, target = metrics_for_siblings(metrics), addresses.unix_target(folder / _SIBLINGS_GRPC)
        await stack.enter_async_context(open_http_socket(app, folder / _SIBLINGS_METRICS))
        server = self._grpc_server(target, facts, self._streams(), access=OPEN_ACCESS)
        await stack.enter_async_context(server)

    def facts(self, stack: AsyncExitStack, control: ModelControl) -> ServerFacts:
        """Return what both ports tell of the server; the stack ends what log settings changed."""
        switches = LogSwitches(self.settings.log_level)
        stack.enter_context(switches.installed())
        return ServerFacts(
            package_version("headrace"),
            self.readiness.is_ready,
            self.settings.server_name,
            switches,
            control,
        )

    async def open_operations(
        self, stack: AsyncExitStack, front: str, traffic: Traffic, meters: Sequence[Meter]
    ) -> tuple[int, ReplicaMetrics]:
        """Open the port of operations; that port, and what it shows of metrics."""
        operations = stack.enter_context(
            open_operations(
                self.ingress,
                self.readiness,
                traffic,
                front,
                self.calls,
                meters,
                max_versions=self.settings.metrics_max_versions,
                summaries=self.settings.metrics_summaries,
            )
        )
        server = open_http_server(
            operations.app, self.settings.host, self.settings.metrics_port, tls=self.tls
        )
        return await stack.enter_async_context(server), operations.metrics

    async def open_rest(self, stack: AsyncExitStack, facts: ServerFacts) -> str:
        """Open REST; its address."""
        application = self._rest_application(facts)
        if self.sockets is not None:
            socket = open_http_socket(application, self.sockets.http, of_gateway=True)
            await stack.enter_async_context(socket)
            return self.sockets.http_target
        rest = open_http_server(
            application,
            self.settings.host,
            self.settings.http_port,
            shares_port=self.are_shared,
            tls=self.tls,
        )
        return addresses.join(self.settings.host, await stack.enter_async_context(rest))

    async def open_grpc(
        self, stack: AsyncExitStack, facts: ServerFacts, front: str, traffic: Traffic
    ) -> int:
        """Open gRPC; its port."""
        if front != "native":
            return await self._open_grpcio(stack, facts)
        opened = await self._open_native(stack, facts)
        traffic.counts.append(lambda: opened.front.requests_in_flight)
        return opened.port

    async def _open_native(
        self, stack: AsyncExitStack, facts: ServerFacts
    ) -> server.OpenNativeFront:
        settings, ingress = self.settings, self.ingress
        folder = stack.enter_context(socket_folder(settings, "shared" if self.are_shared else ""))
        fallback, others = folder / SOCKET_NAME, folder / OTHERS_NAME
        streams = self._streams()
        target = addresses.unix_target(others)
        await stack.enter_async_context(self._grpc_server(target, facts, streams))
        await stack.enter_async_context(open_stream_endpoint(str(fallback), str(others), streams))
        cores = settings.planned_cores
        options = server.NativeOptions(
            settings.drain_seconds,
            server.io_threads(cores),
            # With one core the thread that polls would keep the one that receives from it.
            settings.busy_poll_microseconds * 1000 if cores > 1 else 0,
            shares_port=self.are_shared,
            is_of_gateway=self.sockets is not None,
        )
        address = addresses.join(settings.host, settings.grpc_port)
        if self.sockets is not None:
            address = f"unix:{self.sockets.grpc}"  # as it is: the package decodes nothing
        return await stack.enter_async_context(
            server.open_native_front(address, str(fallback), ingress, options)
        )

    async def _open_grpcio(self, stack: AsyncExitStack, facts: ServerFacts) -> int:
        address = self.grpc_address(self.settings.grpc_port)
        opening = self._grpc_server(address, facts, self._streams(), self.tls)
        return (await stack.enter_async_context(opening)).port

    def _streams(self) -> StreamService:
        settings = self.settings
        options = StreamOptions(
            settings.stream_response,
            settings.max_stream_requests,
            self.closing,
            GATEWAY_SOCKET if self.sockets is not None else None,
        )
        return StreamService(self.ingress, options)

    @asynccontextmanager
    async def _grpc_server(
        self,
        address: str,
        facts: ServerFacts,
        streams: StreamService,
        tls: ServerTls | None = None,
        access: Access | None = None,
    ) -> AsyncIterator[GrpcServer]:
        settings = self.settings
        certificate_of = _no_certificate if tls is None else peer_certificate
        if self.sockets is not None:
            certificate_of = certificate_or_gateway
        gate = Gate(access or self.ingress.callers.access, certificate_of, servicer.INFERRING)

        def register(server: grpc.aio.Server) -> None:
            servicer.register(server, self.ingress, facts, streams, gate)

        opening = open_grpc_server(
            address,
            [service.full_name for service in servicer.SERVICES],
            register,
            drain_seconds=settings.drain_seconds,
            pool=_reflection_pool(),
            max_message_bytes=settings.max_message_bytes,
            calls=self.calls,
            age=ConnectionAge(settings.max_connection_age_seconds, settings.max_run_seconds),
            shares_port=self.are_shared,
            tls=tls,
            gate=gate,
        )
        async with opening as server, open_background() as jobs:
            jobs.run(keep_running("health", partial(_tell_health, server, self.readiness)))
            yield server

    def _rest_application(self, facts: ServerFacts) -> RestApp:
        settings = self.settings
        limits = RestLimits(settings.max_http_body_bytes, settings.max_http_bytes_in_flight)
        cors = Cors(settings.cors_origins) if settings.cors_origins else None
        app = rest_app(self.ingress, facts, limits, cors)
        add_openai_routes(app, self.ingress, facts, ServedNames(settings.served_map()))
        app.finishers.append(_ends_connections(self.readiness))
        return app


async def _tell_health(server: GrpcServer, readiness: ReplicaReadiness) -> None:
    async with aclosing(readiness.stages()) as stages:
        async for stage in stages:
            await server.set_serving(stage is ReplicaStage.READY)


def _no_certificate(_: object) -> None:
    """Nobody shows one where TLS is not spoken."""


def _ends_connections(readiness: ReplicaReadiness) -> Finish:
    """Have clients of a replica that leaves come back over a new connection, elsewhere."""

    def end(_: Request, response: Response) -> None:
        if readiness.stage is ReplicaStage.LEAVING:
            response.closes = True

    return end


def _reflection_pool() -> DescriptorPool:
    """The protocol's private pool, with the files of text, health, reflection and errors' details."""
    others = (duration_pb2, error_details_pb2, health_pb2, reflection_pb2, generation_service_pb2)
    for module in others:
        POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    return POOL
