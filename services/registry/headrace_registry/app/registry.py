"""The registry, put together: the state that it follows, what changes it, and the ports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from headrace.artifacts.signature_policy import open_policy
from headrace.service import serving
from headrace.service.access import open_access
from headrace.service.folder_lock import hold_folder
from headrace.service.private_files import make_private
from headrace.service.tls_serving import open_server_tls
from headrace.state.access_inbox import FOLDER
from headrace.state.key_uses import known_key_uses, note_for_ever
from headrace.state.presence import read_replicas
from headrace.state.rights import CatalogRights
from headrace_registry.adapters.access_inbox import AccessInbox
from headrace_registry.adapters.blobs.scrubber import BlobScrubber
from headrace_registry.adapters.blobs.store import BlobStore
from headrace_registry.adapters.metrics import Metrics
from headrace_registry.app.artifacts import open_artifacts, open_object_store
from headrace_registry.app.audit import open_audit
from headrace_registry.app.following import collect_garbage, follow_jobs, serve
from headrace_registry.app.limits import catalog_limits
from headrace_registry.app.ports import Registry, open_ports, register
from headrace_registry.app.readiness import readiness
from headrace_registry.app.shared_state import SharedState, open_shared_state
from headrace_registry.domain.annotations import Annotations
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.history.rights_watches import RightsWatches
from headrace_registry.domain.history.watches import Watches
from headrace_registry.domain.pushes.blob_garbage import BlobGarbage
from headrace_registry.domain.references import References
from headrace_registry.settings import Settings
from headrace_registry.wire.access_servicer import AccessServicer
from headrace_registry.wire.annotation_servicer import AnnotationServicer
from headrace_registry.wire.origins import origin_of_caller
from headrace_registry.wire.reference_servicer import ReferenceServicer
from headrace_registry.wire.rights_message import encode_rights, encode_rights_mark
from headrace_registry.wire.servicer import RegistryServicer
from headrace_registry.wire.watching import encode_change, encode_mark

LOCK_NAME = "registry.lock"
"""In the data folder: a second registry would clear the first one's staging and delete its blobs."""
OWN_FILES = (LOCK_NAME, FOLDER, "blobs", "staging", "storing", "history")
"""What a registry has in its data folder."""


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
        objects = await open_object_store(settings)
        state = await stack.enter_async_context(open_shared_state(settings))
        follower, log = state.follower, state.log
        jobs = await stack.enter_async_context(asyncio.TaskGroup())
        blobs = BlobStore(settings.data, settings.disk_reserve_bytes, objects)
        blobs.prepare()
        metrics = Metrics(follower, blobs)
        watches = Watches(log, encode_change, encode_mark, settings.max_watches)
        access = stack.enter_context(open_access(settings, metrics.collectors))
        rights_watches = RightsWatches(encode_rights, encode_rights_mark)
        follower.on_update = partial(serve, watches, rights_watches, CatalogRights(), access)
        metrics.count_watches(watches)
        pause = await follower.start(log.begin)
        store = CatalogStore(follower, log, time.time, catalog_limits(settings), origin_of_caller)
        garbage = BlobGarbage(store, blobs, time.monotonic)
        artifacts = stack.enter_context(
            open_artifacts(settings, store, blobs, garbage, metrics, policy)
        )
        scrubber = BlobScrubber(blobs, lambda: follower.catalog, settings.scrub_bytes_per_second)
        inbox = AccessInbox(settings.data, store)
        audit = open_audit(settings, log, state.stored_log(), follower)
        lasting = (
            *([audit.run()] if audit else []),
            *follow_jobs(state, watches, rights_watches, pause, stopping),
            inbox.take_in_for_ever(),
            note_for_ever(state.redis, state.keys, access.used_keys),
            collect_garbage(garbage, follower),
            scrubber.run(),
        )
        following = [jobs.create_task(job) for job in lasting]
        if follower.synced:
            await _look_for_keys(inbox, state, is_on=access.is_on)
        replicas, history = partial(read_replicas, state.redis, state.keys), state.stored_log()
        servicer = RegistryServicer(store, artifacts, blobs, replicas, watches, history, access)
        key_uses = partial(known_key_uses, state.redis, state.keys)
        rights = AccessServicer(store, access, rights_watches, key_uses, time.time)
        is_ready = partial(readiness, follower, log, blobs, state.note, audit)
        references = ReferenceServicer(store, References(store, blobs, garbage))
        said = Annotations(store, blobs, garbage)
        annotations = AnnotationServicer(store, said, artifacts.uploads.open, time.time, access)
        services = partial(register, servicer, rights, references, annotations)
        async with open_ports(settings, services, metrics, is_ready, tls, access) as registry:
            yield registry
        for job in following:
            job.cancel()


async def _look_for_keys(inbox: AccessInbox, state: SharedState, *, is_on: bool) -> None:
    """Take in the keys that were left here, so that nobody is refused for one that was just made."""
    await inbox.look()
    await state.forget_keys_that_are_gone()
    inbox.advise(is_on=is_on)
