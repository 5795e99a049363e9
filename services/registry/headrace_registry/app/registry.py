"""The registry, assembled."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import grpc.aio

from headrace import addresses, errors
from headrace.artifacts.sealing import load_keys
from headrace.artifacts.signature_policy import NO_POLICY, PolicyFile, open_policy
from headrace.machine.memory import usable_memory_bytes
from headrace.registry.v1 import access_service_pb2, access_service_pb2_grpc, registry_service_pb2
from headrace.security.access import Access
from headrace.service import serving
from headrace.service.access import open_access
from headrace.service.call_metrics import CallMetrics
from headrace.service.folder_lock import hold_folder
from headrace.service.gateway_serving import open_sockets
from headrace.service.grpc_admission import Gate, certificate_or_gateway, peer_certificate
from headrace.service.grpc_serving import Register, open_grpc_server
from headrace.service.http.operations import ReadinessProbe, add_operations_routes
from headrace.service.http.pages import About, signposted
from headrace.service.http.server import open_http_server
from headrace.service.object_store import ObjectStore
from headrace.service.private_files import make_private
from headrace.service.sealed_store import SealedStore
from headrace.service.tls_serving import TlsMetrics, open_server_tls
from headrace.state.access_inbox import FOLDER
from headrace.state.connection import open_redis
from headrace.state.follower import StateFollower, Update
from headrace.state.key_uses import forget_key_uses, known_key_uses, note_for_ever
from headrace.state.keys import Keys
from headrace.state.presence import read_replicas
from headrace.state.record_collections import API_KEYS
from headrace.state.redis_settings import server_of
from headrace.state.rights import CatalogRights
from headrace.state.schema import is_newer
from headrace.tls.servers import ServerTls
from headrace_registry.adapters.access_inbox import AccessInbox
from headrace_registry.adapters.audit_files import AuditFiles
from headrace_registry.adapters.blobs.scrubber import BlobScrubber
from headrace_registry.adapters.blobs.store import BlobStore
from headrace_registry.adapters.checks.checker import ProcessChecker
from headrace_registry.adapters.checks.limits import CheckLimits
from headrace_registry.adapters.metrics import Metrics
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.adapters.shared_state.epochs import RedisEpochs
from headrace_registry.adapters.shared_state.history_note import HistoryNote
from headrace_registry.adapters.shared_state.noted_log import NotedChangeLog, note_followed
from headrace_registry.adapters.shared_state.stored_log import RedisStoredLog
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.decisions.limits import CatalogLimits
from headrace_registry.domain.history.audit_export import AuditExport
from headrace_registry.domain.history.history_guard import HistoryGuard
from headrace_registry.domain.history.rights_watches import RightsWatches
from headrace_registry.domain.history.watches import Watches
from headrace_registry.domain.pushes.artifacts import Artifacts
from headrace_registry.domain.pushes.blob_garbage import BlobGarbage
from headrace_registry.domain.pushes.uploads import UploadLimits, Uploads
from headrace_registry.settings import Settings
from headrace_registry.wire.access_servicer import AccessServicer
from headrace_registry.wire.origins import origin_of_caller
from headrace_registry.wire.rights_message import encode_rights, encode_rights_mark
from headrace_registry.wire.servicer import RegistryServicer
from headrace_registry.wire.watching import add_to_server, encode_change, encode_mark

logger = logging.getLogger(__name__)

SERVICE = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"]
ACCESS_SERVICE = access_service_pb2.DESCRIPTOR.services_by_name["AccessService"]
GARBAGE_SECONDS = 2.0
MAX_MESSAGE_BYTES = 16 << 20
"""Four of the largest chunks; a message is held in memory whole before anything can refuse it."""
PING_SECONDS = 30.0
"""A watcher that vanished without a word would keep its place for hours."""
LOCK_NAME = "registry.lock"
"""In the data folder: a second registry would clear the first one's staging and delete its blobs."""
OWN_FILES = (LOCK_NAME, FOLDER, "blobs", "staging", "storing", "history")
"""What a registry has in its data folder."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry: where it listens."""

    grpc_address: str
    http_address: str


async def main(settings: Settings, stopping: asyncio.Event) -> None:
    """Run the registry until `stopping` is set."""
    async with open_registry(settings, stopping) as registry:
        where = {"grpc": registry.grpc_address, "http": registry.http_address}
        serving.announce_ready(where, settings.ready_fd)
        await stopping.wait()


@asynccontextmanager
async def open_registry(settings: Settings, stopping: asyncio.Event) -> AsyncIterator[Registry]:
    """A registry that serves while inside. It opens without the shared state too, and waits for it.

    `stopping` ends the watches. Raises FailedPrecondition (ADDRESS_IN_USE, DATA_IN_USE, DATA_UNUSABLE,
    BLOB_STORE_REFUSED, SIGNING_NOT_INSTALLED, and those of open_server_tls), InvalidArgument
    (SIGNATURE_POLICY_INVALID).
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_folder(settings.data, LOCK_NAME, "a registry"))
        make_private(settings.data, OWN_FILES)
        policy = open_policy(settings.signature_policy)
        tls = await stack.enter_async_context(open_server_tls(settings))
        shared = await _open_shared(settings)
        redis = await stack.enter_async_context(open_redis(server_of(settings)))
        jobs = await stack.enter_async_context(asyncio.TaskGroup())
        keys = Keys(settings.namespace)
        note = HistoryNote(settings.data, settings.namespace)
        guard = HistoryGuard(note, RedisEpochs(redis, keys, time.time))
        follower = StateFollower(redis, keys, guard.examine)
        log = NotedChangeLog(redis, keys, note)
        blobs = BlobStore(settings.data, settings.disk_reserve_bytes, shared)
        blobs.prepare()
        metrics = Metrics(follower, blobs)
        watches = Watches(log, encode_change, encode_mark, settings.max_watches)
        access = stack.enter_context(open_access(settings, metrics.collectors))
        rights_watches = RightsWatches(encode_rights, encode_rights_mark)
        follower.on_update = partial(_serve, watches, rights_watches, CatalogRights(), access)
        metrics.count_watches(watches)
        pause = await follower.start(log.begin)
        store = CatalogStore(follower, log, time.time, _catalog_limits(settings), origin_of_caller)
        garbage = BlobGarbage(store, blobs, time.monotonic)
        artifacts = stack.enter_context(
            _open_artifacts(settings, store, blobs, garbage, metrics, policy)
        )
        scrubber = BlobScrubber(blobs, lambda: follower.catalog, settings.scrub_bytes_per_second)
        inbox = AccessInbox(settings.data, store)
        audit = _open_audit(settings, log, RedisStoredLog(redis, keys), follower)
        following = [
            *([jobs.create_task(audit.run())] if audit else []),
            jobs.create_task(_follow(log, follower, pause)),
            jobs.create_task(note_followed(note, follower)),
            jobs.create_task(note.keep_synced()),
            jobs.create_task(_fill(watches, follower)),
            jobs.create_task(watches.mark_for_ever()),
            jobs.create_task(_stop(watches, rights_watches, stopping)),
            jobs.create_task(inbox.take_in_for_ever()),
            jobs.create_task(note_for_ever(redis, keys, access.used_keys)),
            jobs.create_task(_collect_garbage(garbage, follower)),
            jobs.create_task(scrubber.run()),
        ]
        if follower.synced:  # so that nobody is refused for a key that was just made
            await inbox.look()
            with suppress(errors.Unavailable):
                known = {key.id for key in follower.catalog.of(API_KEYS).values()}
                await forget_key_uses(redis, keys, known)
            if access.is_on:
                inbox.advise()
        replicas = partial(read_replicas, redis, keys)
        servicer = RegistryServicer(
            store, artifacts, blobs, replicas, watches, RedisStoredLog(redis, keys), access
        )
        rights = AccessServicer(
            store, access, rights_watches, partial(known_key_uses, redis, keys), time.time
        )
        register = partial(_register, servicer, rights)
        readiness = partial(_readiness, follower, log, blobs, note, audit)
        async with _serving(settings, register, metrics, readiness, tls, access) as registry:
            yield registry
        for job in following:
            job.cancel()


async def _open_shared(settings: Settings) -> ObjectStore | None:
    """The store of objects for blobs, if there is to be one, and proof that this registry may write there.

    One that does not answer now is waited for by whoever needs it.
    Raises FailedPrecondition (BLOB_STORE_REFUSED).
    """
    if not settings.blob_store:
        return None
    keys = await asyncio.to_thread(load_keys, settings.seal_key_file, settings.seal_key_command)
    store = SealedStore(settings.blob_store, keys)
    try:
        await store.put_bytes("registry", settings.namespace.encode())
    except errors.Unavailable as error:
        logger.warning("the blob store does not answer yet: %s", error)
    return store


@contextmanager
def _open_artifacts(
    settings: Settings,
    store: CatalogStore,
    blobs: BlobStore,
    garbage: BlobGarbage,
    metrics: Metrics,
    policy: PolicyFile | None,
) -> Iterator[Artifacts]:
    """Yield what takes pushes while inside."""
    uploads = Uploads(_upload_limits(settings), blobs.check_room)
    metrics.count_uploads(uploads)
    with ThreadPoolExecutor(2 * settings.checks_at_a_time + 1, "check") as threads:
        yield Artifacts(
            store,
            blobs,
            garbage,
            ProcessChecker(_check_limits(settings), blobs.room, threads),
            max_bytes=settings.max_artifact_bytes,
            uploads=uploads,
            trust=policy.current if policy else lambda: NO_POLICY,
            counted=metrics.pushing,
        )


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


@asynccontextmanager
async def _serving(
    settings: Settings,
    register: Register,
    metrics: Metrics,
    readiness: ReadinessProbe,
    tls: ServerTls | None,
    access: Access,
) -> AsyncIterator[Registry]:
    http = signposted(_ABOUT, access)
    calls = CallMetrics([SERVICE, ACCESS_SERVICE])
    metrics.collectors.register(calls)
    metrics.collectors.register(TlsMetrics(tls))
    add_operations_routes(http, metrics.collectors, readiness)
    address = addresses.join(settings.host, settings.grpc_port)
    async with (
        open_sockets(settings.gateway_folder) as sockets,
        open_http_server(http, settings.host, settings.http_port, tls=tls) as http_port,
        open_grpc_server(
            address,
            [SERVICE.full_name, ACCESS_SERVICE.full_name],
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


def _catalog_limits(settings: Settings) -> CatalogLimits:
    return CatalogLimits(
        models=settings.max_models,
        versions_per_model=settings.max_versions_per_model,
        aliases_per_model=settings.max_aliases_per_model,
        protect_models=settings.protect_models,
    )


def _upload_limits(settings: Settings) -> UploadLimits:
    return UploadLimits(
        pushes=settings.max_pushes,
        staged_bytes=settings.max_staged_bytes,
        idle_seconds=settings.upload_idle_seconds,
    )


def _check_limits(settings: Settings) -> CheckLimits:
    return CheckLimits(
        seconds=settings.check_seconds,
        memory_bytes=settings.check_memory_bytes,
        unpacked_bytes=settings.max_unpacked_bytes,
        files=settings.max_artifact_files,
        expansion=settings.max_expansion,
        at_a_time=settings.checks_at_a_time,
        trial_seconds=settings.trial_seconds,
        machine_bytes=usable_memory_bytes(),
        custom_operators=settings.custom_operators,
    )


def _open_audit(
    settings: Settings, log: RedisChangeLog, stored: RedisStoredLog, follower: StateFollower
) -> AuditExport | None:
    """What copies the log to files, if there are to be any; the log waits for it."""
    if settings.audit_folder is None:
        return None
    files = AuditFiles(settings.audit_folder, settings.audit_file_bytes)
    audit = AuditExport(stored, files, follower)
    log.kept_for = audit.kept_for
    return audit


async def _follow(log: RedisChangeLog, follower: StateFollower, pause: float | None) -> None:
    while pause is not None:
        await asyncio.sleep(pause)
        pause = await follower.start(log.begin)
    await follower.run()


def _register(registry: RegistryServicer, access: AccessServicer, server: grpc.aio.Server) -> None:
    add_to_server(registry, server)
    access_service_pb2_grpc.add_AccessServiceServicer_to_server(access, server)


def _serve(
    watches: Watches,
    rights_watches: RightsWatches[access_service_pb2.WatchRightsResponse],
    rights: CatalogRights,
    access: Access,
    update: Update,
) -> None:
    rights_watches.update(update.catalog)
    if changed := rights.changed(update.catalog):
        access.rights = changed
    if update.entries:
        watches.extend(update.entries)
    else:
        watches.begin(update.point)


async def _fill(watches: Watches, follower: StateFollower) -> None:
    """Have the changes before a state that was read anew in memory: all who watched come back at once."""
    async for update in follower.updates():
        if not update.entries:
            with suppress(errors.Unavailable):
                await watches.fill()


async def _stop(
    watches: Watches,
    rights_watches: RightsWatches[access_service_pb2.WatchRightsResponse],
    stopping: asyncio.Event,
) -> None:
    await stopping.wait()
    watches.stop()
    rights_watches.stop()


async def _collect_garbage(garbage: BlobGarbage, follower: StateFollower) -> None:
    """Remove, for ever, what interrupted pushes and deletes left; only while the state can be followed."""
    while True:
        await asyncio.sleep(GARBAGE_SECONDS)
        if follower.synced and follower.problem is None and not is_newer(follower.schema):
            try:
                await garbage.collect_orphans()
            except (OSError, errors.HeadraceError) as error:
                logger.warning("what interrupted pushes left stays for now: %s", error)


def _readiness(
    follower: StateFollower,
    log: RedisChangeLog,
    blobs: BlobStore,
    note: HistoryNote,
    audit: AuditExport | None,
) -> tuple[bool, Mapping[str, object]]:
    """Ready while reads and writes can be answered; reads alone go on without the shared state."""
    facts = {
        "state_read": follower.synced,
        **follower.facts(),
        "state_may_evict": log.may_evict,
        "history_noted": not note.problem,
        "revision": follower.catalog.revision,
        "damaged_blobs": len(blobs.damaged),
    }
    if audit is not None:
        facts["audit_written"] = not audit.problem
    usable = follower.connected and follower.whole and follower.synced
    return usable and not is_newer(follower.schema), facts
