"""A replica, put together: state in, telemetry out, and the fronts between."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from headrace import addresses
from headrace.artifacts.signature_policy import open_policy
from headrace.service import serving
from headrace.service.private_files import make_private
from headrace.service.tls_serving import open_server_tls
from headrace.state.follower import StateFollower
from headrace.state.records import ReplicaRecord, ReplicaStage
from headrace.tls.peers import open_peer
from headrace_inference.adapters import telemetry
from headrace_inference.adapters.core_use import MachineCoreUse
from headrace_inference.adapters.energy import ProcessUsage
from headrace_inference.adapters.metrics.cache import CacheMeter
from headrace_inference.adapters.metrics.collectors import CollectorMeter
from headrace_inference.adapters.metrics.devices import open_device_meter
from headrace_inference.adapters.metrics.payloads import PayloadMeter
from headrace_inference.adapters.metrics.traces import TraceMeter
from headrace_inference.adapters.references import VersionReferences
from headrace_inference.adapters.runtime import execution_providers
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.adapters.telemetry_sending import (
    SharedMonitors,
    by_preference,
    send_telemetry,
)
from headrace_inference.adapters.trace_exemplars import TraceExemplars
from headrace_inference.app.access import ReplicaAccess, open_replica_access
from headrace_inference.app.ending_text import ending_text
from headrace_inference.app.limits import ingress_limits
from headrace_inference.app.memory import region_table
from headrace_inference.app.models import (
    Loads,
    open_loads,
    open_models,
)
from headrace_inference.app.origins import (
    CHANNEL_OPTIONS,
    Origin,
    open_shared_state,
    served_folder,
)
from headrace_inference.app.payloads import open_payload_log
from headrace_inference.app.readiness import ReplicaReadiness
from headrace_inference.app.sampling import open_sampling
from headrace_inference.app.servers import Fronts, open_fronts
from headrace_inference.app.tracing import open_tracer
from headrace_inference.domain.extensions.tracing import Tracer
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.request_parts import CallerParts, telling_apart
from headrace_inference.domain.reconciliation.lasting_jobs import keep_running
from headrace_inference.domain.reconciliation.later_measuring import LaterMeasuring
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.sampling.slices import Slicing, slicings
from headrace_inference.domain.schemas.doors import SchemaDoors
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.settings import Settings

logger = logging.getLogger(__name__)

OWN_FILES = ("artifacts", "references", "prepared*", "in-use*", "engines", "local-*")
"""What a replica has in its data folder."""
_FLUSH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Serving:
    """What a running replica serves, and where."""

    fronts: Fronts
    reconciler: VersionReconciler


@dataclass(frozen=True, slots=True)
class Replica(Serving):
    """A running replica of a registry."""

    follower: StateFollower


async def main(settings: Settings, stopping: asyncio.Event) -> None:
    """Run a replica until `stopping` is set. Raises HeadraceError where it cannot."""
    opening = open_replica if settings.model_folder is None else open_folder_replica
    async with opening(settings, stopping) as replica:
        if not stopping.is_set():
            serving.announce_ready(replica.fronts.addresses(), settings.ready_fd)
            await stopping.wait()
            await asyncio.sleep(settings.grace_seconds)


@asynccontextmanager
async def open_replica(settings: Settings, stopping: asyncio.Event) -> AsyncIterator[Replica]:
    """A replica that follows the state and serves while inside; on leaving it drains and withdraws.

    It serves when every wanted version is ready or has failed, or after `join_seconds`. From when
    `stopping` is set it says that it leaves, by readiness, health and presence, and goes on serving.
    """
    make_private(settings.data, OWN_FILES)
    async with open_shared_state(settings) as state, _open(settings, stopping, state) as opened:
        yield Replica(opened.fronts, opened.reconciler, state.follower)


@asynccontextmanager
async def open_folder_replica(
    settings: Settings, stopping: asyncio.Event
) -> AsyncIterator[Serving]:
    """The same of a folder's models, without registry and state. It is ready when all of them are."""
    make_private(settings.data, OWN_FILES)
    async with _open(settings, stopping, served_folder(settings)) as opened:
        yield opened


@asynccontextmanager
async def _open(
    settings: Settings, stopping: asyncio.Event, origin: Origin
) -> AsyncIterator[Serving]:
    policy = open_policy(settings.signature_policy)
    async with AsyncExitStack() as stack:
        tls = await stack.enter_async_context(open_server_tls(settings))
        access = stack.enter_context(open_replica_access(settings))
        told = await _open_telemetry(stack, settings, access)
        tracer, book = told.tracer, told.book
        loads = stack.enter_context(open_loads(settings, origin.source, origin, policy))
        doors = SchemaDoors()
        references = VersionReferences(settings.data / "references", origin.source, doors)
        sampler = stack.enter_context(open_sampling(settings, told.reports, references, by=told.by))
        payloads = stack.enter_context(open_payload_log(settings))
        models = await stack.enter_async_context(
            open_models(settings, loads, book, sampler, doors, payloads.taker)
        )
        reconciler = models.reconciler
        followed = origin.followed(models)
        readiness = ReplicaReadiness(followed, reconciler, stopping, access.facts)
        regions, limits = region_table(settings), ingress_limits(settings)
        ingress = Ingress(reconciler, book, regions, tracer, limits, access.callers)
        closing = asyncio.Event()

        async def join(fronts: Fronts) -> None:
            describe = _Description(settings, fronts, reconciler, readiness)
            jobs = await stack.enter_async_context(serving.open_background())
            origin.follow(jobs, models, describe.record, access, references)
            jobs.run(keep_running("rights", access.follow_file))
            stages = partial(_announce_stages, readiness, reconciler.changed)
            jobs.run(keep_running("stages", stages))
            _tend_versions(settings, jobs, reconciler, loads)
            serving.announce_alive(fronts.addresses(), settings.ready_fd)
            await readiness.wait_to_join(settings.join_seconds)
            if settings.join_seconds and readiness.stage is ReplicaStage.JOINING:
                logger.warning("ports open before all is loaded: join_seconds is over")

        await stack.enter_async_context(ending_text(ingress, closing, settings.drain_seconds))
        fronts = await open_fronts(
            stack,
            settings,
            ingress,
            readiness,
            closing,
            models.control,
            join,
            [
                CacheMeter(loads.checks),
                TraceMeter(tracer),
                CollectorMeter(access.metrics),
                PayloadMeter(payloads.log),
            ],
            tls,
        )
        stack.callback(closing.set)
        yield Serving(fronts, reconciler)


@dataclass(frozen=True, slots=True)
class _Telemetry:
    """What traces requests, what counts them, and what reports that, if there is a monitor."""

    tracer: Tracer
    book: StatisticsRegistry
    reports: telemetry.TelemetryBuffer | None
    by: Sequence[Slicing]
    """Tells requests apart; shared, so that all who do tell the same values apart."""


async def _open_telemetry(
    stack: AsyncExitStack, settings: Settings, access: ReplicaAccess
) -> _Telemetry:
    exemplars = TraceExemplars()
    tracer = stack.enter_context(open_tracer(settings, access.access, exemplars))
    counts_callers = settings.count_callers and access.callers.are_checked
    caller = CallerParts(access.callers, SYSTEM_CLOCK) if counts_callers else None
    by = slicings(settings.slice_by)
    book = StatisticsRegistry(telling_apart(by, caller))
    reports = await stack.enter_async_context(_reporting(settings, book))
    if reports is not None:
        reports.exemplars = exemplars.take
    return _Telemetry(tracer, book, reports, by)


def _tend_versions(
    settings: Settings,
    jobs: serving.Background,
    reconciler: VersionReconciler,
    loads: Loads,
) -> None:
    """Begin what is done for versions while they serve: measuring, and reading what lies on the disk."""
    if loads.measurer is not None and settings.tuning_seconds:
        measuring = LaterMeasuring(reconciler, loads.measurer, MachineCoreUse(), SYSTEM_CLOCK)
        jobs.run(keep_running("measuring", measuring.run))
    if loads.scrubber is not None:
        jobs.run(keep_running("scrubber", partial(loads.scrubber.run, reconciler.reopen)))


async def _announce_stages(readiness: ReplicaReadiness, changed: asyncio.Event) -> None:
    async with aclosing(readiness.stages()) as stages:
        async for stage in stages:
            logger.info("the replica is %s", stage.value)
            changed.set()


class _Description:
    """Describes the replica to others."""

    def __init__(
        self,
        settings: Settings,
        fronts: Fronts,
        reconciler: VersionReconciler,
        readiness: ReplicaReadiness,
    ) -> None:
        self._settings = settings
        self._fronts = fronts
        self._reconciler = reconciler
        self._readiness = readiness
        self._started_at = time.time()
        self._devices = execution_providers.devices()

    def record(self) -> ReplicaRecord:
        """The presence record, as of now, but for what it has."""
        fronts, reconciler = self._fronts, self._reconciler
        return ReplicaRecord(
            id=self._settings.replica_id,
            grpc_address=self._settings.reachable_at(fronts.grpc_address),
            http_address=self._settings.reachable_at(fronts.http_address),
            metrics_address=self._settings.reachable_at(fronts.metrics_address),
            pid=os.getpid(),
            started_at=self._started_at,
            applied_revision=reconciler.applied_revision,
            labels=self._settings.label_map(),
            devices=self._devices,
            stage=self._readiness.stage,
            loads_on_request=reconciler.loads_on_request,
        )


@asynccontextmanager
async def _reporting(
    settings: Settings, book: StatisticsRegistry
) -> AsyncIterator[telemetry.TelemetryBuffer | None]:
    """Collect and send telemetry while inside, if there is a monitor; on leaving, send what is left."""
    if settings.monitor_address is None:
        yield None
        return
    with open_device_meter() as devices:
        usage = ProcessUsage(settings.watts_per_core, devices.joules if devices else None)
        buffer = telemetry.TelemetryBuffer(
            settings.replica_id, book, settings.telemetry_max_reports, usage
        )
        async with _sending(settings, buffer):
            yield buffer


@asynccontextmanager
async def _sending(settings: Settings, buffer: telemetry.TelemetryBuffer) -> AsyncIterator[None]:
    assert settings.monitor_address is not None
    places = by_preference(settings.replica_id, addresses.several(settings.monitor_address))
    async with AsyncExitStack() as stack:
        monitors = [
            await stack.enter_async_context(open_peer(place, settings, CHANNEL_OPTIONS))
            for place in places
        ]
        shared = SharedMonitors(buffer, monitors)
        async with serving.open_background() as jobs:
            collect = partial(telemetry.collect_telemetry, buffer, settings.telemetry_seconds)
            jobs.run(keep_running("telemetry", collect))
            alone = partial(send_telemetry, buffer, monitors[0])
            jobs.run(keep_running("reports", alone if len(monitors) == 1 else shared.run))
            yield
        await shared.flush(_FLUSH_SECONDS)
