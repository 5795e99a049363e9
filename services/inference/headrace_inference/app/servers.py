"""Opens the ports of a replica in their order: operations and REST, then gRPC, then those it shares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from headrace import addresses
from headrace.service.call_metrics import CallMetrics
from headrace.service.gateway_sockets import gateway_sockets
from headrace.service.http.server import open_http_server
from headrace.service.tls_serving import TlsMetrics
from headrace.state.records import ReplicaStage
from headrace.tls.servers import ServerTls
from headrace_inference.adapters.metrics.collectors import CollectorMeter
from headrace_inference.adapters.metrics.machine_replicas import MachineMetrics
from headrace_inference.adapters.metrics.replica import Meter, ReplicaMetrics
from headrace_inference.adapters.siblings import Sibling, Siblings, open_siblings
from headrace_inference.app.front_choice import choose_front
from headrace_inference.app.metrics_server import (
    machine_operations,
    text_in_thread,
)
from headrace_inference.app.ports import Ports, Traffic
from headrace_inference.app.readiness import ReplicaReadiness
from headrace_inference.app.reserved_ports import ReservedPort, reserved_port
from headrace_inference.app.shared_ports import SharedReadiness, open_shared_ports
from headrace_inference.app.socket_folder import socket_folder
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.model_control import ModelControl, RegistryControl
from headrace_inference.settings import Settings
from headrace_inference.wire.grpc import servicer
from headrace_inference.wire.grpc.servicer import SERVICE
from headrace_inference.wire.native import server
from headrace_inference.wire.server_queries import ServerFacts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fronts:
    """The addresses of a replica's ports, and which front serves ModelInfer."""

    grpc_address: str
    http_address: str
    metrics_address: str
    front: str

    def addresses(self) -> dict[str, str]:
        """Return where it listens, as its ready line says."""
        return {
            "grpc": self.grpc_address,
            "http": self.http_address,
            "metrics": self.metrics_address,
        }


BeforeServing = Callable[[Fronts], Awaitable[None]]


async def open_fronts(
    stack: AsyncExitStack,
    settings: Settings,
    ingress: Ingress,
    readiness: ReplicaReadiness,
    closing: asyncio.Event | None = None,
    control: ModelControl | None = None,
    before_serving: BeforeServing | None = None,
    meters: Sequence[Meter] = (),
    tls: ServerTls | None = None,
) -> Fronts:
    """Open every port; the stack closes them, draining. Streams end when `closing` is set.

    /metrics has what `meters` tell beside what every replica has.

    The port of operations and REST, which says 503, are open while `before_serving` waits. The port of
    gRPC is only reserved: its callers are refused, and go elsewhere. Raises FailedPrecondition.
    """
    front = choose_front(
        settings.front,
        native_available=server.available(),
        ages=settings.max_connection_age_seconds > 0,
        secured=tls is not None and settings.gateway_folder is None,
    )
    facts_of_front = {"front": front, "asked": settings.front, "tls": tls is not None}
    logger.info("front chosen", extra=facts_of_front)
    traffic = Traffic()
    grpc_port, http_port = _reserved(stack, settings)
    settings = replace(settings, grpc_port=grpc_port.port, http_port=http_port.port)
    ports = _ports(stack, settings, ingress, readiness, closing or asyncio.Event(), tls)
    meters = [*meters, CollectorMeter(TlsMetrics(tls))]
    metrics_port, metrics = await ports.open_operations(stack, front, traffic, meters)
    facts = ports.facts(stack, control or RegistryControl())
    traffic.counts = [lambda: ingress.receptions.count]
    with http_port.handed_over():
        http_address = await ports.open_rest(stack, facts)
    fronts = Fronts(
        ports.grpc_address(settings.grpc_port),
        http_address,
        addresses.join(settings.host, metrics_port),
        front,
    )
    if before_serving is not None:
        await before_serving(fronts)
    if readiness.stage is ReplicaStage.LEAVING:  # told to stop before it ever served
        return fronts
    with grpc_port.handed_over():
        opened_grpc = await ports.open_grpc(stack, facts, front, traffic)
    own = replace(fronts, grpc_address=ports.grpc_address(opened_grpc))
    if settings.shares_ports:
        await _share(stack, ports, own, facts, traffic, metrics)
    return own


def _ports(
    stack: AsyncExitStack,
    settings: Settings,
    ingress: Ingress,
    readiness: ReplicaReadiness,
    closing: asyncio.Event,
    tls: ServerTls | None,
) -> Ports:
    """Return what opens the ports, with the folders of the sockets that stand in for some of them."""
    ports = Ports(
        settings, ingress, readiness, CallMetrics([SERVICE], servicer.INFERRING), closing, tls
    )
    if settings.gateway_folder is not None:
        sockets = stack.enter_context(gateway_sockets(settings.gateway_folder))
        ports = replace(ports, sockets=sockets)
    is_guarded = tls is not None or ingress.callers.are_checked
    if is_guarded and settings.shares_ports:
        ports = replace(ports, siblings_folder=stack.enter_context(socket_folder(settings, "own")))
    return ports


async def _share(
    stack: AsyncExitStack,
    ports: Ports,
    own: Fronts,
    facts: ServerFacts,
    traffic: Traffic,
    metrics: ReplicaMetrics,
) -> None:
    """Open the ports that all replicas of this machine share, and where they call this one."""
    await ports.open_for_siblings(stack, facts, metrics)
    called_at = ports.for_siblings(own.grpc_address, own.metrics_address)
    siblings = await stack.enter_async_context(_siblings(ports.settings, called_at))
    shared = _SharedFronts(ports, replace(facts, siblings=siblings), siblings, own.front, traffic)
    readiness = SharedReadiness(ports.readiness)
    opening = partial(shared.open, readiness=readiness, metrics=metrics)
    await stack.enter_async_context(open_shared_ports(opening, readiness, siblings))


def _reserved(stack: AsyncExitStack, settings: Settings) -> tuple[ReservedPort, ReservedPort]:
    """The ports for gRPC and REST; none behind a gateway."""
    if settings.gateway_folder is not None:
        return ReservedPort(0, None), ReservedPort(0, None)
    host = settings.host
    return (
        stack.enter_context(reserved_port(host, settings.grpc_port, "--grpc-port")),
        stack.enter_context(reserved_port(host, settings.http_port, "--http-port")),
    )


def _siblings(settings: Settings, own: Sibling) -> AbstractAsyncContextManager[Siblings]:
    assert settings.shared_folder is not None
    return open_siblings(settings.shared_folder, own)


@dataclass(frozen=True, slots=True)
class _SharedFronts:
    """Opens the ports of all replicas of this machine, once this one can answer there."""

    own: Ports
    facts: ServerFacts
    siblings: Siblings
    front: str
    traffic: Traffic

    async def open(
        self, stack: AsyncExitStack, *, readiness: SharedReadiness, metrics: ReplicaMetrics
    ) -> None:
        """Open those that the settings name; the stack closes them, draining, and ends their streams."""
        settings, closing = self.own.settings.on_shared_ports(), asyncio.Event()
        ports = replace(
            self.own, settings=settings, readiness=readiness, closing=closing, are_shared=True
        )
        facts = replace(self.facts, is_ready=readiness.is_ready)
        if settings.metrics_port:
            machine = MachineMetrics(self.siblings, partial(text_in_thread, metrics))
            app = machine_operations(readiness, machine, ports.ingress.callers.access)
            opening = open_http_server(
                app, settings.host, settings.metrics_port, shares_port=True, tls=ports.tls
            )
            await stack.enter_async_context(opening)
        if settings.http_port:
            await ports.open_rest(stack, facts)
        if settings.grpc_port:
            await ports.open_grpc(stack, facts, self.front, self.traffic)
        stack.callback(closing.set)
