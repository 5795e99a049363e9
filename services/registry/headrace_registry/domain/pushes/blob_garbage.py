"""Blobs that no version names: an intent is recorded before they can come to be, and they are removed.

Storing bytes and changing the catalog are two steps, and a process can be killed, lose its caller or not
learn what became of its change in between. So the intent, a list of digests, is recorded first,
durably, and cleared when all is done. An intent that was not cleared is looked at again while the registry
runs. Bytes without an intent are never removed: after an old backup of the state was restored, they may be
wanted again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from headrace import errors
from headrace.state.changes import Change
from headrace.state.records import ArtifactFile
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.pushes.named_blobs import NamedBlobs

logger = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""How long a change whose end is not known may still arrive at the state's server: over its time limits."""

Commit = Callable[[], Awaitable[Change]]


class BlobStorage(Protocol):
    """Stores blobs, and the intents to store or remove them."""

    async def record_intent(self, digests: Iterable[str]) -> Path:
        """Write down, durably, which blobs may come to be named by nothing."""

    async def clear_intent(self, intent: Path) -> None:
        """Forget an intent."""

    async def open_intents(self) -> Mapping[Path, frozenset[str]]:
        """The digests of every intent that was not cleared."""

    async def store(self, folder: Path, files: Iterable[ArtifactFile]) -> None:
        """Move the files of a staged folder into the store, durably."""

    async def remove(self, digests: Iterable[str]) -> None:
        """Remove blobs; those that are not there are passed over."""


class BlobGarbage:
    """Stores blobs with the change that names them, removes them with the one that takes them away."""

    def __init__(
        self, store: CatalogStore, blobs: BlobStorage, monotonic: Callable[[], float]
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._monotonic = monotonic
        self._named = NamedBlobs()
        self._left_since: dict[Path, float] = {}
        # Held from storing blobs to committing what names them, and while blobs that nothing names go:
        # or a delete could take the bytes from under a push of the same file.
        self._changing = asyncio.Lock()

    async def publish(
        self,
        folder: Path,
        files: Iterable[ArtifactFile],
        commit: Commit,
        replaced: Iterable[ArtifactFile] = (),
    ) -> Change:
        """Store a folder's files, and make the change that names them, perhaps instead of others.

        From then on it goes on to its end, though its caller goes. `replaced` is read when no other change
        of blobs is under way. Raises what storing and `commit` raise.
        """
        files = list(files)

        async def store_and_commit() -> Change:
            gone = _digests(replaced)
            async with self._intent(_digests(files) | gone, gone=gone):
                await self._blobs.store(folder, files)
                return await commit()

        async with self._changing:
            return await _to_end(store_and_commit())

    async def delete(self, files: Iterable[ArtifactFile], commit: Commit) -> Change:
        """Make a change that takes versions with these files away, and remove what nobody names then.

        It goes on to its end, though its caller goes. `files` are read when no other change of blobs is
        under way. Raises what `commit` raises.
        """

        async def commit_and_remove() -> Change:
            async with self._changing, self._intent(_digests(files), deleting=True):
                return await commit()

        return await _to_end(commit_and_remove())

    async def collect_orphans(self) -> None:
        """Remove what nobody names of intents that were left, once their changes must have arrived.

        The catalog must be current.
        """
        async with (
            self._changing
        ):  # so no push or delete is under way, and what is recorded was left
            intents, now = await self._blobs.open_intents(), self._monotonic()
            self._left_since = {each: self._left_since.get(each, now) for each in intents}
            for intent, since in list(self._left_since.items()):
                if now - since >= GRACE_SECONDS:
                    await self._remove_unnamed(intents[intent])
                    await self._blobs.clear_intent(intent)
                    del self._left_since[intent]

    @asynccontextmanager
    async def _intent(
        self,
        digests: AbstractSet[str],
        *,
        deleting: bool = False,
        gone: AbstractSet[str] = frozenset(),
    ) -> AsyncIterator[None]:
        """An intent is recorded while inside, and cleared on leaving, once what nobody names is removed.

        A failure after which the change may have been made leaves the blobs and the intent.
        """
        intent = await self._record_intent(digests, deleting=deleting)
        try:
            yield
        except errors.Unavailable:
            raise
        except errors.HeadraceError:
            await self._finish(intent, digests)
            raise
        await self._finish(intent, digests if deleting else gone)

    async def _record_intent(self, digests: AbstractSet[str], *, deleting: bool) -> Path | None:
        """The intent; None where a full disk has no room for it and a deletion is what makes room."""
        try:
            return await self._blobs.record_intent(digests)
        except errors.ResourceExhausted:
            if not deleting:
                raise
            return None

    async def _finish(self, intent: Path | None, digests: AbstractSet[str]) -> None:
        """Remove what nobody names, clear the intent. The change is decided, whatever fails here."""
        try:
            await self._remove_unnamed(digests)
            if intent is not None:
                await self._blobs.clear_intent(intent)
        except (OSError, errors.HeadraceError) as error:
            logger.warning("blobs that no version names stay for now: %s", error)

    async def _remove_unnamed(self, digests: AbstractSet[str]) -> None:
        if not digests:
            return
        named = await asyncio.to_thread(self._named.of, self._store.read())
        await self._blobs.remove({digest for digest in digests if digest not in named})


def _digests(files: Iterable[ArtifactFile]) -> frozenset[str]:
    return frozenset(file.sha256 for file in files)


async def _to_end(work: Coroutine[object, None, Change]) -> Change:
    """Return what the work gives. A caller that goes waits: half of the work would leave blobs behind."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody is there to be told
        raise
