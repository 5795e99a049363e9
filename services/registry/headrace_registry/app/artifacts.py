"""What takes pushes, and the store that it shares with other registries and replicas."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from headrace import errors
from headrace.artifacts.sealing import load_keys
from headrace.artifacts.signature_policy import NO_POLICY, PolicyFile
from headrace.service.object_store import ObjectStore
from headrace.service.sealed_store import SealedStore
from headrace_registry.adapters.blobs.store import BlobStore
from headrace_registry.adapters.checks.checker import ProcessChecker
from headrace_registry.adapters.metrics import Metrics
from headrace_registry.app.limits import check_limits, upload_limits
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.pushes.artifacts import Artifacts
from headrace_registry.domain.pushes.blob_garbage import BlobGarbage
from headrace_registry.domain.pushes.uploads import Uploads
from headrace_registry.settings import Settings

logger = logging.getLogger(__name__)


async def open_object_store(settings: Settings) -> ObjectStore | None:
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
def open_artifacts(
    settings: Settings,
    store: CatalogStore,
    blobs: BlobStore,
    garbage: BlobGarbage,
    metrics: Metrics,
    policy: PolicyFile | None,
) -> Iterator[Artifacts]:
    """Yield what takes pushes while inside."""
    uploads = Uploads(upload_limits(settings), blobs.check_room)
    metrics.count_uploads(uploads)
    with ThreadPoolExecutor(2 * settings.checks_at_a_time + 1, "check") as threads:
        yield Artifacts(
            store,
            blobs,
            garbage,
            ProcessChecker(check_limits(settings), blobs.room, threads),
            max_bytes=settings.max_artifact_bytes,
            uploads=uploads,
            trust=policy.current if policy else lambda: NO_POLICY,
            counted=metrics.pushing,
        )
