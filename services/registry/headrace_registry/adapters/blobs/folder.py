"""Blobs in a folder on this machine: `<2 digits>/<64 digits>`, renamed into place and synced to the disk.

Not through the library for object stores: its local store neither syncs files and folders nor takes a
staged file over by renaming it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from headrace import errors
from headrace.state.records import ArtifactFile
from headrace_registry.adapters.blobs.damaged import DamagedBlobs, identity_of
from headrace_registry.adapters.blobs.disk import disk_errors
from headrace_registry.adapters.blobs.places import BlobIdentity
from headrace_registry.adapters.blobs.slow_reading import slow_digest
from headrace_registry.adapters.threads import run_uncancelled

CHUNK_BYTES = 1 << 20


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class FolderBlobs:
    """The blobs under a folder, which one registry has for itself."""

    def __init__(self, folder: Path, damaged: DamagedBlobs) -> None:
        self._folder = folder
        self._damaged = damaged

    def prepare(self) -> None:
        """Make the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)

    async def store(self, folder: Path, files: Sequence[ArtifactFile]) -> None:
        """Move the files of a staged folder here. Raises ResourceExhausted (DISK_FULL)."""
        with disk_errors():
            await run_uncancelled(self._store, folder, files)

    async def remove(self, digests: Iterable[str]) -> None:
        """Remove blobs; who is reading one reads it to its end."""
        for digest in digests:
            self._path(digest).unlink(missing_ok=True)

    async def read(self, digest: str, offset: int) -> AsyncIterator[bytes]:
        """The bytes of a blob from `offset`, a chunk at a time.

        Raises NotFound (BLOB_NOT_FOUND), OutOfRange (OFFSET_OUT_OF_RANGE) past its end, and after the last
        chunk DataLoss (BLOB_DAMAGED) if its bytes, those before `offset` too, are not what was stored.
        """
        with self._open(digest) as blob:
            check_offset(offset, os.fstat(blob.fileno()).st_size)
            checksum, position = hashlib.sha256(), 0
            while chunk := await run_uncancelled(_read, blob, checksum):
                position += len(chunk)
                if position > offset:
                    yield chunk[max(0, len(chunk) - (position - offset)) :]
        self._check_digest(digest, checksum.hexdigest())

    async def examine(self, digest: str, bytes_per_second: int) -> str:
        """Return what is wrong with a blob, or ''; all of it is read, at this rate."""
        try:
            with self._path(digest).open("rb") as blob:
                found = await slow_digest(blob, bytes_per_second)
        except FileNotFoundError:
            return "it is gone"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        return "" if found == digest else "its bytes have changed"

    async def identity(self, digest: str) -> BlobIdentity:
        """Inode, size and time of change (ns) of its file."""
        return identity_of(self._path(digest))

    def _check_digest(self, digest: str, found: str) -> None:
        if found == digest:
            self._damaged.discard(digest)
            return
        self._damaged.add(
            digest,
            identity_of(self._path(digest)),
            "its bytes have changed: push its version again",
        )
        raise errors.DataLoss(
            "BLOB_DAMAGED",
            f"the bytes of blob {digest} have changed on the registry's disk: push the version again",
            facts={"sha256": digest, "found": found},
        )

    @contextmanager
    def _open(self, digest: str) -> Iterator[IO[bytes]]:
        try:
            blob = self._path(digest).open("rb")
        except FileNotFoundError:
            raise errors.NotFound(
                "BLOB_NOT_FOUND", f"there is no blob {digest}", facts={"sha256": digest}
            ) from None
        with blob:
            yield blob

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _store(self, folder: Path, files: Sequence[ArtifactFile]) -> None:
        touched = {self._folder}
        for file in files:
            source, target = folder / file.path, self._path(file.sha256)
            target.parent.mkdir(exist_ok=True)
            sync(source)
            # Over a blob that is there already, too: its bytes are the same, unless it was damaged.
            source.replace(target)
            touched.add(target.parent)
        for directory in touched:
            sync(directory)


def sync(path: Path) -> None:
    """Bytes of a file, or names in a directory, survive a power cut after this."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_offset(offset: int, size: int) -> None:
    """Pass for an offset within a blob. Raises OutOfRange (OFFSET_OUT_OF_RANGE)."""
    if offset > size:
        raise errors.OutOfRange(
            "OFFSET_OUT_OF_RANGE",
            f"offset {offset} is past the blob's end at {size}",
            facts={"size_bytes": str(size)},
        )


def _read(blob: IO[bytes], checksum: _Hash) -> bytes:
    chunk = blob.read(CHUNK_BYTES)
    checksum.update(chunk)
    return chunk
