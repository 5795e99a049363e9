"""A replica, put together: state in, telemetry out, and the fronts between."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import grpc
import onnxruntime
from aiohttp import web
from google.protobuf.descriptor_pool import DescriptorPool
from prometheus_client import CollectorRegistry

from headrace import serving
from headrace.errors import FailedPrecondition
from headrace.grpc_serving import GrpcServer, open_grpc_server
from headrace.http_serving import add_operations_routes, open_http_server
from headrace.inference._pool import POOL
from headrace.state.connection import Redis, open_redis
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.records import ReplicaRecord, VersionRecord
from headrace_inference.adapters import execution_providers, onnx_runtime, presence, telemetry
from headrace_inference.adapters.artifacts import ArtifactCache
from headrace_inference.adapters.loader import ArtifactLoader
from headrace_inference.adapters.metrics import ReplicaCollector
from headrace_inference.domain.dataplane import DataPlane
from headrace_inference.domain.keeper import VersionKeeper
from headrace_inference.domain.served import Runner
from headrace_inference.domain.statistics import StatisticsBook
from headrace_inference.settings import Settings
from headrace_inference.wire import native_front, servicer
from headrace_inference.wire.rest import add_rest_routes

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 2.0
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


@dataclass(frozen=True, slots=True)
class Replica:
    """A running replica and the addresses that it got."""

    grpc_address: str
    http_address: str
    metrics_address: str
    keeper: VersionKeeper
    front: str


async def main(settings: Settings, stopping: asyncio.Event) -> None:
    """Run a replica until `stopping` is set. Raises HeadraceError where it cannot."""
    async with open_replica(settings, stopping) as replica:
        addresses = {
            "grpc": replica.grpc_address,
            "http": replica.http_address,
            "metrics": replica.metrics_address,
        }
        serving.announce_ready(addresses, settings.ready_fd)
        await stopping.wait()


@asynccontextmanager
async def open_replica(settings: Settings, stopping: asyncio.Event) -> AsyncIterator[Replica]:
    """A replica that follows the state and serves while inside; on leaving it drains and withdraws.

    It is open as soon as its ports are: versions become ready later, and readiness says when.
    """
    keys = Keys(settings.namespace)
    book = StatisticsBook()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        channel = await stack.enter_async_context(_channel(settings.registry_address))
        follower = StateFollower(redis, keys)
        keeper = _keeper(settings, channel, follower, book)
        await stack.enter_async_context(_telemetry(settings, book))
        await stack.enter_async_context(keeper.running())
        health = Readiness(follower, keeper, stopping)
        replica = await _open_fronts(stack, settings, keeper, book, health)
        tasks = await stack.enter_async_context(_background())
        tasks.create_task(follower.run())
        tasks.create_task(_apply_updates(follower, keeper))
        describe = _Description(settings, replica, keeper)
        tasks.create_task(presence.keep_present(redis, keys, keeper.changed, describe.record))
        yield replica


class Readiness:
    """Whether the replica should get requests: it knows what to serve, has it, and is not stopping."""

    def __init__(
        self, follower: StateFollower, keeper: VersionKeeper, stopping: asyncio.Event
    ) -> None:
        self._follower = follower
        self._keeper = keeper
        self._stopping = stopping

    def is_ready(self) -> bool:
        """The one word."""
        return self._follower.synced and self._keeper.settled() and not self._stopping.is_set()

    def facts(self) -> tuple[bool, dict[str, object]]:
        """The word and its reasons."""
        return self.is_ready(), {
            "state_known": self._follower.synced,
            "state_connected": self._follower.connected,
            "applied_revision": self._keeper.applied_revision,
            "versions_settled": self._keeper.settled(),
            "stopping": self._stopping.is_set(),
        }


def _keeper(
    settings: Settings, channel: grpc.aio.Channel, follower: StateFollower, book: StatisticsBook
) -> VersionKeeper:
    cache = ArtifactCache(settings.data / "artifacts", channel, settings.cache_max_bytes)

    def in_use() -> Iterable[str]:
        return [record.digest for record in follower.catalog.versions.values()]

    loader = ArtifactLoader(cache, _open_model, in_use)
    return VersionKeeper(loader, book, settings.max_loading)


def _open_model(graph: Path, record: VersionRecord) -> Runner:
    return onnx_runtime.open_session(graph, record)


async def _apply_updates(follower: StateFollower, keeper: VersionKeeper) -> None:
    async for update in follower.updates():
        keeper.want(update.catalog)


async def _open_fronts(
    stack: AsyncExitStack,
    settings: Settings,
    keeper: VersionKeeper,
    book: StatisticsBook,
    readiness: Readiness,
) -> Replica:
    dataplane = DataPlane(keeper, book)
    facts = servicer.ServerFacts(package_version("headrace"), readiness.is_ready)
    front = choose_front(settings.front, native_available=native_front.available())
    logger.info("front chosen", extra={"front": front, "asked": settings.front})
    open_grpc = _open_native if front == "native" else _open_grpcio
    grpc_port, in_flight = await open_grpc(stack, settings, dataplane, facts)
    rest = web.Application(client_max_size=settings.max_http_body_bytes)
    add_rest_routes(rest, dataplane, facts, settings.max_http_body_bytes)
    http_port = await stack.enter_async_context(
        open_http_server(rest, settings.host, settings.http_port)
    )
    operations = web.Application()
    add_operations_routes(operations, _metrics(keeper, book, in_flight, front), readiness.facts)
    metrics_port = await stack.enter_async_context(
        open_http_server(operations, settings.host, settings.metrics_port)
    )
    host = settings.host
    return Replica(
        f"{host}:{grpc_port}", f"{host}:{http_port}", f"{host}:{metrics_port}", keeper, front
    )


def choose_front(asked: str, *, native_available: bool) -> str:
    """The front that serves ModelInfer. Raises FailedPrecondition where the one asked for is not there."""
    if asked == "native" and not native_available:
        raise FailedPrecondition(
            "FRONT_UNAVAILABLE",
            "front=native needs the package pygrpc-native, which is not installed or has no build for "
            "this platform; use front=auto or front=grpcio",
        )
    return "native" if native_available and asked != "grpcio" else "grpcio"


async def _open_native(
    stack: AsyncExitStack, settings: Settings, dataplane: DataPlane, facts: servicer.ServerFacts
) -> tuple[int, Any]:
    folder = Path(tempfile.mkdtemp(prefix="headrace-"))  # short: a socket's path has 107 bytes at most
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    fallback = str(folder / "fallback.sock")
    await stack.enter_async_context(_open_grpc(f"unix:{fallback}", settings, dataplane, facts))
    limits = native_front.FrontLimits(
        settings.max_requests_in_flight, settings.max_bytes_in_flight
    )
    address = f"{settings.host}:{settings.grpc_port}"
    opened = await stack.enter_async_context(
        native_front.open_native_front(
            address, fallback, dataplane, limits, settings.drain_seconds
        )
    )
    return opened.port, lambda: opened.front.requests_in_flight


async def _open_grpcio(
    stack: AsyncExitStack, settings: Settings, dataplane: DataPlane, facts: servicer.ServerFacts
) -> tuple[int, Any]:
    address = f"{settings.host}:{settings.grpc_port}"
    server = await stack.enter_async_context(_open_grpc(address, settings, dataplane, facts))
    return server.port, lambda: 0


def _open_grpc(
    address: str, settings: Settings, dataplane: DataPlane, facts: servicer.ServerFacts
) -> Any:
    def register(server: grpc.aio.Server) -> None:
        servicer.register(server, dataplane, facts)

    return open_grpc_server(
        address,
        [servicer.SERVICE_NAME],
        register,
        drain_seconds=settings.drain_seconds,
        pool=_reflection_pool(),
    )


def _reflection_pool() -> DescriptorPool:
    """The protocol's private pool, with health's and reflection's own files beside it."""
    from grpc_health.v1 import health_pb2
    from grpc_reflection.v1alpha import reflection_pb2

    for module in (health_pb2, reflection_pb2):
        POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    return POOL


def _metrics(
    keeper: VersionKeeper, book: StatisticsBook, in_flight: Any, front: str
) -> CollectorRegistry:
    info = {
        "version": package_version("headrace"),
        "onnxruntime": onnxruntime.__version__,
        "front": front,
    }

    def gauges() -> list[tuple[str, str, float]]:
        return [
            ("headrace_inference_in_flight_requests", "Requests that wait or run", in_flight()),
            ("headrace_inference_applied_revision", "The state applied", keeper.applied_revision),
        ]

    registry = CollectorRegistry()
    registry.register(ReplicaCollector(keeper, book, gauges, info))
    return registry


class _Description:
    """What the replica tells of itself."""

    def __init__(self, settings: Settings, replica: Replica, keeper: VersionKeeper) -> None:
        self._settings = settings
        self._replica = replica
        self._keeper = keeper
        self._started_at = time.time()
        self._devices = execution_providers.devices()

    def record(self) -> ReplicaRecord:
        """The presence record, as of now."""
        import os

        return ReplicaRecord(
            id=self._settings.replica_id,
            grpc_address=self._replica.grpc_address,
            http_address=self._replica.http_address,
            metrics_address=self._replica.metrics_address,
            pid=os.getpid(),
            started_at=self._started_at,
            applied_revision=self._keeper.applied_revision,
            labels=self._settings.label_map(),
            devices=self._devices,
            versions=self._keeper.versions(),
        )


@asynccontextmanager
async def _telemetry(settings: Settings, book: StatisticsBook) -> AsyncIterator[None]:
    """Collect and send while inside; on leaving, send what is left."""
    buffer = telemetry.TelemetryBuffer(
        settings.replica_id, book, settings.telemetry_max_reports
    )
    if settings.monitor_address is None:
        yield
        return
    async with _channel(settings.monitor_address) as channel:
        async with _background() as tasks:
            tasks.create_task(telemetry.collect_telemetry(buffer, settings.telemetry_seconds))
            tasks.create_task(telemetry.send_telemetry(buffer, channel))
            yield
        await telemetry.flush_telemetry(buffer, channel, _FLUSH_SECONDS)


@asynccontextmanager
async def _channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    try:
        yield channel
    finally:
        await channel.close()


class _Background:
    """Starts tasks in a group and remembers them."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self.tasks: list[asyncio.Task[Any]] = []

    def create_task(self, job: Any) -> None:
        """Run a job until the block is left; should it fail, the service ends."""
        self.tasks.append(self._group.create_task(job))


@asynccontextmanager
async def _background() -> AsyncIterator[_Background]:
    """Jobs that run for ever while inside, and are cancelled on leaving."""
    async with asyncio.TaskGroup() as group:
        background = _Background(group)
        try:
            yield background
        finally:
            for task in background.tasks:
                task.cancel()


__all__ = ["GrpcServer", "Redis", "Replica", "choose_front", "main", "open_replica"]
