"""References and their bytes: set and deleted together, as versions are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from headrace.state.changes import Change
from headrace.state.records import ArtifactFile
from headrace.state.reference_records import CONTENT_PATH, ReferenceRecord
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.pushes.artifacts import Received
from headrace_registry.domain.pushes.blob_garbage import BlobGarbage
from headrace_registry.domain.resources.references import (
    EnforcementEdit,
    NewReference,
    ReferenceCopy,
    ReferenceRemoval,
    copy_reference,
    delete_reference,
    find_reference,
    reference_in,
    set_reference,
    update_enforcement,
)


class Blobs(Protocol):
    """Stores bytes by their SHA-256, and reads them."""

    def staging(self) -> AbstractAsyncContextManager[Path]:
        """A private folder on the store's file system, gone with all in it on leaving."""

    async def receive(self, chunks: AsyncIterator[bytes], file: Path) -> Received:
        """Write what arrives."""

    def read(self, digest: str, offset: int) -> AsyncIterator[bytes]:
        """The bytes of a blob. Raises NotFound, DataLoss."""


class References:
    """Sets and deletes references, and keeps the blobs that they name."""

    def __init__(self, store: CatalogStore, blobs: Blobs, garbage: BlobGarbage) -> None:
        self._store = store
        self._blobs = blobs
        self._garbage = garbage

    async def set(self, new: NewReference, actor: str) -> Change:
        """Set a reference. Raises as its decision does, ResourceExhausted (DISK_FULL), Unavailable."""
        decide = partial(set_reference, new=new)
        decide(self._store.decision_context(actor))  # before anything is written
        commit = partial(self._store.change, new.model, decide, actor)
        content = new.content
        file = ArtifactFile(CONTENT_PATH, len(content.data), content.sha256)
        async with self._blobs.staging() as staging:
            await self._blobs.receive(_once(content.data), staging / CONTENT_PATH)
            replaced = self._files_of(new.model, new.number)
            return await self._garbage.publish(staging, [file], commit, replaced)

    async def copy(self, copied: ReferenceCopy, actor: str) -> Change:
        """Take another version's reference. Raises as its decision does, Unavailable."""
        decide = partial(copy_reference, copied=copied)
        commit = partial(self._store.change, copied.model, decide, actor)
        return await self._garbage.delete(self._files_of(copied.model, copied.number), commit)

    async def delete(self, removal: ReferenceRemoval, actor: str) -> Change:
        """Delete a reference. Raises as its decision does, Unavailable."""
        decide = partial(delete_reference, removal=removal)
        commit = partial(self._store.change, removal.model, decide, actor)
        return await self._garbage.delete(self._files_of(removal.model, removal.number), commit)

    async def enforce(
        self, edit: EnforcementEdit, enforceable: Callable[[bytes], frozenset[str]], actor: str
    ) -> Change:
        """Change what is enforced. `enforceable` reads the fields of which something was learnt."""
        record = find_reference(await self._store.latest(), edit.model, edit.number)
        fields = enforceable(await self.content(record))
        decide = partial(update_enforcement, edit=edit, sha256=record.sha256, enforceable=fields)
        return await self._store.change(edit.model, decide, actor)

    async def content(self, record: ReferenceRecord) -> bytes:
        """The content of a reference. Raises NotFound (BLOB_NOT_FOUND), DataLoss (BLOB_DAMAGED)."""
        return b"".join([chunk async for chunk in self._blobs.read(record.sha256, 0)])

    def _files_of(self, model: str, number: int) -> Iterator[ArtifactFile]:
        """The file of the reference, if there is one, once it is asked for."""
        present = reference_in(self._store.read(), model, number)
        if present is not None:
            yield present.file


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
