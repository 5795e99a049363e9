"""The ports of a replica: the Open Inference Protocol over gRPC and REST, and metrics."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version as package_version

import grpc
from aiohttp import web
from google.protobuf import duration_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from headrace import addresses
from headrace.call_metrics import CallMetrics
from headrace.errors import FailedPrecondition
from headrace.grpc_serving import ConnectionAge, GrpcServer, Register, open_grpc_server
from headrace.http_serving import open_http_server
from headrace.inference._pool import POOL
from headrace_inference.adapters.runtime.cores import usable_cores
from headrace_inference.app.operations import InFlight, open_operations
from headrace_inference.app.readiness import Readiness
from headrace_inference.app.socket_folder import SOCKET_NAME, socket_folder
from headrace_inference.domain.dataplane import DataPlane
from headrace_inference.domain.log_switches import LogSwitches
from headrace_inference.domain.model_control import ModelControl, RegistryControl
from headrace_inference.settings import Settings
from headrace_inference.wire import native_server, servicer
from headrace_inference.wire.front_limits import FrontLimits
from headrace_inference.wire.rest.cors import cors
from headrace_inference.wire.rest.routes import RestLimits, add_rest_routes
from headrace_inference.wire.streaming import StreamOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fronts:
    """The addresses that a replica's ports got, and which front serves ModelInfer."""

    grpc_address: str
    http_address: str
    metrics_address: str
    front: str


async def open_fronts(
    stack: AsyncExitStack,
    settings: Settings,
    dataplane: DataPlane,
    readiness: Readiness,
    stopping: asyncio.Event | None = None,
    control: ModelControl | None = None,
) -> Fronts:
    """Open every port; the stack closes them, draining. Streams end when `stopping` is set.

    Raises FailedPrecondition.
    """
    switches = LogSwitches(settings.log_level)
    stack.enter_context(switches.installed())
    facts = servicer.ServerFacts(
        package_version("headrace"),
        readiness.is_ready,
        settings.server_name,
        switches,
        control or RegistryControl(),
    )
    front = choose_front(
        settings.front,
        native_available=native_server.available(),
        ages=settings.max_connection_age_seconds > 0,
    )
    logger.info("front chosen", extra={"front": front, "asked": settings.front})
    streams = StreamOptions(
        settings.stream_response, settings.max_stream_requests, stopping or asyncio.Event()
    )

    def register(server: grpc.aio.Server) -> None:
        servicer.register(server, dataplane, facts, streams, _limits(settings))

    open_grpc = _open_native if front == "native" else _open_grpcio
    calls = CallMetrics([servicer.SERVICE], servicer.INFERRING)
    grpc_port, in_flight = await open_grpc(stack, settings, dataplane, register, calls)
    rest = _rest_application(settings, dataplane, facts)
    summaries = settings.metrics_summaries
    operations = stack.enter_context(
        open_operations(dataplane, readiness, in_flight, front, calls, summaries=summaries)
    )
    host = settings.host
    ports = [
        await stack.enter_async_context(server)
        for server in (
            open_http_server(rest, host, settings.http_port, dataplane.receptions.record_unread),
            open_http_server(operations, host, settings.metrics_port),
        )
    ]
    grpc_address, http_address, metrics_address = (
        addresses.join(settings.host, port) for port in (grpc_port, *ports)
    )
    return Fronts(grpc_address, http_address, metrics_address, front)


def _rest_application(
    settings: Settings, dataplane: DataPlane, facts: servicer.ServerFacts
) -> web.Application:
    application = web.Application(client_max_size=settings.max_http_body_bytes)
    limits = RestLimits(
        settings.max_http_body_bytes, settings.max_http_bytes_in_flight, _limits(settings).answers
    )
    if settings.cors_origins:
        application.middlewares.append(cors(settings.cors_origins))
    add_rest_routes(application, dataplane, facts, limits)
    return application


def choose_front(asked: str, *, native_available: bool, ages: bool = False) -> str:
    """The front that serves ModelInfer, and ends connections of a certain age if it `ages` them.

    Raises FailedPrecondition where the one asked for is not there, or cannot do that.
    """
    if asked == "native" and ages:
        raise FailedPrecondition(
            "FRONT_UNAVAILABLE",
            "front=native cannot end connections by their age (max_connection_age_seconds); use "
            "front=auto, which then takes grpcio, or front=grpcio",
        )
    if asked == "native" and not native_available:
        raise FailedPrecondition(
            "FRONT_UNAVAILABLE",
            "front=native needs the package pygrpc-native, which is not installed or has no build for "
            "this platform; use front=auto or front=grpcio",
        )
    return "native" if native_available and asked != "grpcio" and not ages else "grpcio"


async def _open_native(
    stack: AsyncExitStack,
    settings: Settings,
    dataplane: DataPlane,
    register: Register,
    calls: CallMetrics,
) -> tuple[int, InFlight]:
    folder = stack.enter_context(socket_folder(settings))
    fallback = folder / SOCKET_NAME
    target = addresses.unix_target(fallback)
    await stack.enter_async_context(_open_grpc(target, settings, register, calls))
    cores = usable_cores()
    options = native_server.NativeOptions(
        _limits(settings),
        settings.drain_seconds,
        native_server.io_threads(cores),
        # With one core the thread that looks would keep the one that receives from it.
        settings.busy_poll_microseconds * 1000 if cores > 1 else 0,
    )
    address = addresses.join(settings.host, settings.grpc_port)
    opened = await stack.enter_async_context(
        native_server.open_native_front(address, str(fallback), dataplane, options)
    )
    return opened.port, lambda: opened.front.requests_in_flight + dataplane.receptions.count


async def _open_grpcio(
    stack: AsyncExitStack,
    settings: Settings,
    dataplane: DataPlane,
    register: Register,
    calls: CallMetrics,
) -> tuple[int, InFlight]:
    address = addresses.join(settings.host, settings.grpc_port)
    server = await stack.enter_async_context(_open_grpc(address, settings, register, calls))
    return server.port, lambda: dataplane.receptions.count


def _limits(settings: Settings) -> FrontLimits:
    return FrontLimits(
        settings.max_requests_in_flight, settings.max_bytes_in_flight, settings.max_message_bytes
    )


def _open_grpc(
    address: str, settings: Settings, register: Register, calls: CallMetrics
) -> AbstractAsyncContextManager[GrpcServer]:
    return open_grpc_server(
        address,
        [servicer.SERVICE.full_name],
        register,
        drain_seconds=settings.drain_seconds,
        pool=_reflection_pool(),
        max_message_bytes=settings.max_message_bytes,
        calls=calls,
        age=ConnectionAge(settings.max_connection_age_seconds, settings.max_run_seconds),
    )


def _reflection_pool() -> DescriptorPool:
    """The protocol's private pool, with the files of health, reflection and errors' details beside it."""
    for module in (duration_pb2, error_details_pb2, health_pb2, reflection_pb2):
        POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    return POOL
