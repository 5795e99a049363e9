"""Blobs in a store of objects that replicas share: `blobs/<64 digits>` under its URL."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

from headrace import errors
from headrace.artifacts import sealing
from headrace.service.object_store import ObjectStore, blob_key
from headrace.state.records import ArtifactFile
from headrace_registry.adapters.blobs.damaged import DamagedBlobs
from headrace_registry.adapters.blobs.folder import check_offset
from headrace_registry.adapters.blobs.places import BlobIdentity


class SharedBlobs:
    """The blobs in a store of objects, which answers when bytes are durable and guards them at rest."""

    def __init__(self, store: ObjectStore, damaged: DamagedBlobs) -> None:
        self._store = store
        self._damaged = damaged

    def prepare(self) -> None:
        """Nothing: objects have no folders."""

    async def store(self, folder: Path, files: Sequence[ArtifactFile]) -> None:
        """Upload the files of a staged folder that are not there yet, or were found damaged."""
        for file in files:
            if await self._is_missing(file):
                await self._store.put(blob_key(file.sha256), folder / file.path)
                self._damaged.discard(file.sha256)

    async def _is_missing(self, file: ArtifactFile) -> bool:
        found = await self._store.facts(blob_key(file.sha256))
        wrong = found is None or found.size_bytes != file.size_bytes
        return wrong or file.sha256 in self._damaged.digests()

    async def remove(self, digests: Iterable[str]) -> None:
        """Remove blobs; those that are not there are passed over."""
        await self._store.remove([blob_key(digest) for digest in digests])

    async def read(self, digest: str, offset: int) -> AsyncIterator[bytes]:
        """The bytes of a blob from `offset`, a chunk at a time; read from its beginning, they are checked.

        Raises NotFound (BLOB_NOT_FOUND), OutOfRange (OFFSET_OUT_OF_RANGE), DataLoss (BLOB_DAMAGED), and of
        sealed ones FailedPrecondition (SEAL_KEY_UNKNOWN), DataLoss (BLOB_SEAL_BROKEN).
        """
        found = await self._store.facts(blob_key(digest))
        if found is None:
            raise errors.NotFound(
                "BLOB_NOT_FOUND", f"there is no blob {digest}", facts={"sha256": digest}
            )
        check_offset(offset, found.size_bytes)
        checksum = hashlib.sha256()
        if offset < found.size_bytes:
            try:
                async for chunk in self._store.read(blob_key(digest), offset):
                    checksum.update(chunk)
                    yield chunk
            except errors.HeadraceError as error:
                await self._note_broken(digest, error)
                raise
        if not offset and checksum.hexdigest() != digest:
            await self._damage(digest, checksum.hexdigest())

    async def examine(self, digest: str, bytes_per_second: int) -> str:  # noqa: ARG002
        """'it is gone', or ''. It is not read: transfers cost money, and the store checks its bytes."""
        try:
            found = await self._store.facts(blob_key(digest))
        except errors.HeadraceError:
            return ""  # whether it is there will be known when the store answers
        return "it is gone" if found is None else ""

    async def identity(self, digest: str) -> BlobIdentity:
        """Its size and what the store calls its content."""
        try:
            found = await self._store.facts(blob_key(digest))
        except errors.HeadraceError:
            return None
        return (found.size_bytes, found.etag) if found else None

    async def _note_broken(self, digest: str, error: errors.HeadraceError) -> None:
        """Have a sealed blob that cannot be opened written anew when its version is pushed again."""
        if error.reason in (sealing.BROKEN, sealing.UNKNOWN):
            self._damaged.add(digest, await self.identity(digest), error.message)

    async def _damage(self, digest: str, found: str) -> None:
        identity = await self.identity(digest)
        self._damaged.add(digest, identity, "its bytes have changed: push its version again")
        raise errors.DataLoss(
            "BLOB_DAMAGED",
            f"the bytes of blob {digest} have changed in {self._store.url}: push the version again",
            facts={"sha256": digest, "found": found},
        )
