"""Declares what the registry needs of a place for blobs: a folder, or a store that replicas share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from headrace.state.records import ArtifactFile

BlobIdentity = tuple[int | str, ...] | None
"""What tells one writing of a blob from another; None where there is none."""


class BlobPlace(Protocol):
    """Blobs by their SHA-256. Raises ResourceExhausted (DISK_FULL) or what an object store raises."""

    def prepare(self) -> None:
        """Make folders."""

    async def store(self, folder: Path, files: Sequence[ArtifactFile]) -> None:
        """Have the files of a staged folder, durably; the folder may lose them."""

    def read(self, digest: str, offset: int) -> AsyncIterator[bytes]:
        """The bytes from `offset`. Raises NotFound, OutOfRange, and DataLoss (BLOB_DAMAGED) at the end."""

    async def remove(self, digests: Iterable[str]) -> None:
        """Remove blobs; those that are not there are passed over."""

    async def examine(self, digest: str, bytes_per_second: int) -> str:
        """Return what is wrong with a blob, or ''; it is read at this rate, where reading it tells more."""

    async def identity(self, digest: str) -> BlobIdentity:
        """The blob's identity at present."""
