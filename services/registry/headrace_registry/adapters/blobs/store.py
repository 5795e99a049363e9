"""Artifact bytes on their way in, and the blobs, by SHA-256, that they become before anything names them.

staging/<random>/   what is being pushed, gone with its push or at the next start
storing/<random>    the digests, a line each, of blobs that no version may name, yet or any more

Blobs lie in a folder beside these, or in a store of objects that replicas share.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Protocol
from uuid import uuid4

from headrace.service.disk_reserve import DiskReserve
from headrace.service.object_store import ObjectStore
from headrace.state.records import ArtifactFile
from headrace_registry.adapters.blobs.damaged import DamagedBlobs
from headrace_registry.adapters.blobs.disk import check_room, disk_errors
from headrace_registry.adapters.blobs.folder import FolderBlobs, sync
from headrace_registry.adapters.blobs.places import BlobIdentity, BlobPlace
from headrace_registry.adapters.blobs.shared import SharedBlobs
from headrace_registry.adapters.threads import run_uncancelled
from headrace_registry.domain.pushes.artifacts import Received

CHUNK_BYTES = 1 << 20
_DIGEST = re.compile("[0-9a-f]{64}")


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class BlobStore:
    """Staging under `data`, which one registry has for itself, the room kept on its disk, and the blobs."""

    def __init__(
        self, data: Path, bytes_kept: int | None = None, shared: ObjectStore | None = None
    ) -> None:
        self._reserve = DiskReserve(data, bytes_kept)
        self.damaged = DamagedBlobs()
        self._place: BlobPlace = (
            FolderBlobs(data / "blobs", self.damaged)
            if shared is None
            else SharedBlobs(shared, self.damaged)
        )
        self._staging = data / "staging"
        self._storing = data / "storing"

    def prepare(self) -> None:
        """Make the folders and clear what a killed process left in staging."""
        shutil.rmtree(self._staging, ignore_errors=True)
        for folder in (self._staging, self._storing):
            folder.mkdir(parents=True, exist_ok=True)
        self._place.prepare()

    def room(self) -> int:
        """Return how many bytes may still be written; below 0 if the reserved room is used already."""
        return self._reserve.room().left

    def check_room(self, size: int) -> None:
        """Pass if so many bytes may be written. Raises ResourceExhausted (DISK_FULL)."""
        check_room(self._reserve, size)

    @asynccontextmanager
    async def staging(self) -> AsyncIterator[Path]:
        """A private folder beside the blobs, gone with all in it on leaving."""
        with disk_errors():
            folder = Path(tempfile.mkdtemp(dir=self._staging))
        try:
            yield folder
        finally:
            await run_uncancelled(shutil.rmtree, folder)

    async def receive(self, chunks: AsyncIterator[bytes], file: Path) -> Received:
        """Write what arrives. Raises what `chunks` raises, ResourceExhausted (DISK_FULL)."""
        digest, size = hashlib.sha256(), 0
        with disk_errors(), file.open("xb") as out:
            async for chunk in chunks:
                check_room(self._reserve, len(chunk))  # others may have written meanwhile
                await run_uncancelled(_write, out, digest, chunk)
                size += len(chunk)
                del chunk  # an upload that stalls must not hold it
        return Received(size, digest.hexdigest())

    async def describe(self, folder: Path) -> tuple[ArtifactFile, ...]:
        """The files under `folder` by path, hashed here: the checker's word is not taken for it."""
        return await run_uncancelled(_describe, folder)

    async def record_intent(self, digests: Iterable[str]) -> Path:
        """Write down, durably, which blobs may come to be named by nothing.

        Raises ResourceExhausted (DISK_FULL).
        """
        text = "".join(f"{digest}\n" for digest in sorted(set(digests)))
        note = self._storing / uuid4().hex
        with disk_errors():
            await run_uncancelled(_write_note, note, text)
        return note

    async def clear_intent(self, intent: Path) -> None:
        """Forget an intent: versions name its blobs, or they are gone."""
        await run_uncancelled(intent.unlink, missing_ok=True)

    async def open_intents(self) -> Mapping[Path, frozenset[str]]:
        """The digests of intents that were not cleared; one that was cut short is older than its blobs."""
        return await run_uncancelled(_read_notes, self._storing)

    async def store(self, folder: Path, files: Iterable[ArtifactFile]) -> None:
        """Move the files of a staged folder into the store. Raises ResourceExhausted (DISK_FULL)."""
        await self._place.store(folder, list(files))

    async def remove(self, digests: Iterable[str]) -> None:
        """Remove blobs; who is reading one reads it to its end."""
        await self._place.remove(digests)

    def read(self, digest: str, offset: int) -> AsyncIterator[bytes]:
        """The bytes of a blob from `offset`, a chunk at a time.

        Raises NotFound (BLOB_NOT_FOUND), OutOfRange (OFFSET_OUT_OF_RANGE) past its end, and after the last
        chunk DataLoss (BLOB_DAMAGED) if its bytes are not what was stored.
        """
        return self._place.read(digest, offset)

    async def examine(self, digest: str, bytes_per_second: int) -> str:
        """Return what is wrong with a blob, or ''; it is read at this rate."""
        return await self._place.examine(digest, bytes_per_second)

    async def identity(self, digest: str) -> BlobIdentity:
        """Return what tells this writing of a blob from another."""
        return await self._place.identity(digest)


def _write_note(note: Path, text: str) -> None:
    note.write_text(text)
    sync(note)
    sync(note.parent)


def _read_notes(folder: Path) -> dict[Path, frozenset[str]]:
    return {
        note: frozenset(filter(_DIGEST.fullmatch, note.read_text(errors="replace").splitlines()))
        for note in folder.iterdir()
    }


def _write(out: IO[bytes], digest: _Hash, chunk: bytes) -> None:
    out.write(chunk)
    digest.update(chunk)


def _describe(folder: Path) -> tuple[ArtifactFile, ...]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(_describe_file(folder, path) for path in paths)


def _describe_file(folder: Path, path: Path) -> ArtifactFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return ArtifactFile(path.relative_to(folder).as_posix(), size, digest)
