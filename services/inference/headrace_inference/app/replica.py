"""A replica, put together: state in, telemetry out, and the fronts between."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import grpc

from headrace import addresses, serving
from headrace.private_files import make_private
from headrace.state.connection import open_redis
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.records import UNREAD, ReplicaRecord
from headrace_inference.adapters import presence, telemetry
from headrace_inference.adapters.runtime import execution_providers
from headrace_inference.app.fronts import Fronts, open_fronts
from headrace_inference.app.memory import region_table
from headrace_inference.app.models import Models, open_models, open_registry_loads
from headrace_inference.app.readiness import Readiness
from headrace_inference.app.tracing import open_tracer
from headrace_inference.domain.dataplane import DataPlane
from headrace_inference.domain.keeper import VersionKeeper
from headrace_inference.domain.lasting_jobs import keep_running
from headrace_inference.domain.statistics import StatisticsBook
from headrace_inference.settings import Settings

OWN_FILES = ("artifacts", "prepared", "engines", "local-*")
"""What a replica has in its data folder."""
_FLUSH_SECONDS = 2.0
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2000),
    addresses.NO_PROXY,
]


@dataclass(frozen=True, slots=True)
class Replica:
    """A running replica: where it serves, and what it has."""

    fronts: Fronts
    keeper: VersionKeeper
    follower: StateFollower


async def main(settings: Settings, stopping: asyncio.Event) -> None:
    """Run a replica until `stopping` is set. Raises HeadraceError where it cannot."""
    async with open_replica(settings, stopping) as replica:
        fronts = replica.fronts
        addresses = {
            "grpc": fronts.grpc_address,
            "http": fronts.http_address,
            "metrics": fronts.metrics_address,
        }
        serving.announce_ready(addresses, settings.ready_fd)
        await stopping.wait()


@asynccontextmanager
async def open_replica(settings: Settings, stopping: asyncio.Event) -> AsyncIterator[Replica]:
    """A replica that follows the state and serves while inside; on leaving it drains and withdraws.

    It is open as soon as its ports are: versions become ready later, and readiness says when.
    """
    make_private(settings.data, OWN_FILES)
    keys = Keys(settings.namespace)
    book = StatisticsBook()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        channel = await stack.enter_async_context(_open_channel(settings.registry_address))
        follower = StateFollower(redis, keys)
        tracer = stack.enter_context(open_tracer(settings))
        await stack.enter_async_context(_reporting(settings, book))
        loads = stack.enter_context(open_registry_loads(settings, channel, follower))
        models = await stack.enter_async_context(open_models(settings, loads, book))
        keeper = models.keeper
        readiness = Readiness(follower, keeper, stopping)
        dataplane = DataPlane(keeper, book, region_table(settings), tracer)
        fronts = await open_fronts(stack, settings, dataplane, readiness, stopping, models.control)
        replica = Replica(fronts, keeper, follower)
        describe = _Description(settings, replica)
        jobs = await stack.enter_async_context(serving.open_background())
        follower.on_unread = lambda why: models.want(replace(UNREAD, unread_because=why))
        jobs.run(keep_running("follower", follower.run))
        jobs.run(keep_running("updates", partial(_apply_updates, follower, models)))
        writer = presence.PresenceWriter(redis, keys, keeper, describe.record)
        present = partial(presence.keep_present, writer, keeper.changed)
        jobs.run(keep_running("presence", present))
        yield replica


async def _apply_updates(follower: StateFollower, models: Models) -> None:
    async for update in follower.updates():
        models.want(update.catalog)


class _Description:
    """What the replica tells of itself."""

    def __init__(self, settings: Settings, replica: Replica) -> None:
        self._settings = settings
        self._replica = replica
        self._started_at = time.time()
        self._devices = execution_providers.devices()

    def record(self) -> ReplicaRecord:
        """The presence record, as of now, but for what it has."""
        fronts, keeper = self._replica.fronts, self._replica.keeper
        return ReplicaRecord(
            id=self._settings.replica_id,
            grpc_address=self._settings.reachable_at(fronts.grpc_address),
            http_address=self._settings.reachable_at(fronts.http_address),
            metrics_address=self._settings.reachable_at(fronts.metrics_address),
            pid=os.getpid(),
            started_at=self._started_at,
            applied_revision=keeper.applied_revision,
            labels=self._settings.label_map(),
            devices=self._devices,
        )


@asynccontextmanager
async def _reporting(settings: Settings, book: StatisticsBook) -> AsyncIterator[None]:
    """Collect and send telemetry while inside; on leaving, send what is left."""
    if settings.monitor_address is None:
        yield
        return
    buffer = telemetry.TelemetryBuffer(settings.replica_id, book, settings.telemetry_max_reports)
    async with _open_channel(settings.monitor_address) as channel:
        async with serving.open_background() as jobs:
            collect = partial(telemetry.collect_telemetry, buffer, settings.telemetry_seconds)
            jobs.run(keep_running("telemetry", collect))
            send = partial(telemetry.send_telemetry, buffer, channel)
            jobs.run(keep_running("reports", send))
            yield
        await telemetry.flush_telemetry(buffer, channel, _FLUSH_SECONDS)


@asynccontextmanager
async def _open_channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    try:
        yield channel
    finally:
        await channel.close()
