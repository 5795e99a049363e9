"""Artifacts on this machine's disk: fetched from the registry by digest, checked, kept.

A blob lies in the cache under its SHA-256 and is only ever whole: it is written beside, checked, and
renamed. A version's files are hard links to blobs in a folder of the version's digest, since a graph
finds its external data by name. A download that broke off goes on where it ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc

from headrace import status
from headrace.errors import DataLoss, HeadraceError, Unavailable
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc as pb_grpc
from headrace.state.records import ArtifactFile, VersionRecord

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 2**20
IDLE_SECONDS = 30.0
"""A download that brings no byte for this long is broken off, to go on at the next try."""


class ArtifactCache:
    """The disk cache under `folder`, filled over `channel`. One process may use a folder at a time, or
    several: every step is a rename or a link."""

    def __init__(self, folder: Path, channel: grpc.aio.Channel, max_bytes: int) -> None:
        self._blobs = folder / "blobs"
        self._versions = folder / "versions"
        self._max_bytes = max_bytes
        self._stub: Any = pb_grpc.RegistryServiceStub(channel)
        self._fetching: dict[str, asyncio.Lock] = {}
        for path in (self._blobs, self._versions):
            path.mkdir(parents=True, exist_ok=True)

    async def fetch(self, record: VersionRecord) -> Path:
        """The folder that holds the version's files. Raises Unavailable, or DataLoss for wrong bytes."""
        folder = self._versions / record.digest
        if not await asyncio.to_thread(_is_complete, folder, record.files):
            for file in record.files:
                async with self._fetching.setdefault(file.sha256, asyncio.Lock()):
                    await self._fetch_blob(file)
            await asyncio.to_thread(self._link, folder, record.files)
        await asyncio.to_thread(os.utime, folder)
        return folder

    async def prune(self, in_use: Iterable[str]) -> None:
        """Remove the longest unused versions until the cache is within its size; never those in use."""
        await asyncio.to_thread(self._prune, set(in_use))

    async def _fetch_blob(self, file: ArtifactFile) -> None:
        target = self._blobs / file.sha256
        if await asyncio.to_thread(target.exists):
            return
        partial = self._blobs / f"{file.sha256}.partial"
        await self._download(file, partial)
        digest = await asyncio.to_thread(_sha256, partial)
        if digest != file.sha256:
            partial.unlink()
            raise Unavailable(
                "ARTIFACT_CORRUPT",
                f"{file.path} arrived as {digest}, not {file.sha256}; it is fetched anew",
            )
        partial.rename(target)

    async def _download(self, file: ArtifactFile, partial: Path) -> None:
        offset = await asyncio.to_thread(_resume_at, partial, file.size_bytes)
        if offset == file.size_bytes:
            return
        try:
            call = self._stub.ReadBlob(pb.ReadBlobRequest(sha256=file.sha256, offset=offset))
            with partial.open("ab") as output:
                while (chunk := await _next_chunk(call)) is not None:
                    await asyncio.to_thread(output.write, chunk)
        except TimeoutError:
            raise Unavailable(
                "ARTIFACT_UNAVAILABLE", f"no byte of {file.path} came for {IDLE_SECONDS} s"
            ) from None
        except grpc.aio.AioRpcError as error:
            raise _fetch_error(file, status.error_from_rpc(error)) from error

    def _link(self, folder: Path, files: Iterable[ArtifactFile]) -> None:
        """Build the folder beside and rename it: it is there whole or not at all."""
        staging = Path(tempfile.mkdtemp(dir=self._versions, prefix=".staging-"))
        for file in files:
            path = staging / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(self._blobs / file.sha256, path)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)

    def _prune(self, in_use: set[str]) -> None:
        folders = sorted(self._versions.iterdir(), key=lambda path: path.stat().st_mtime)
        size = sum(path.stat().st_size for path in self._blobs.iterdir())
        for folder in folders:
            if size <= self._max_bytes:
                return
            if folder.name in in_use or folder.stat().st_mtime > time.time() - IDLE_SECONDS:
                continue
            shutil.rmtree(folder)
            size -= self._remove_unlinked_blobs()
            logger.info("removed an unused artifact", extra={"digest": folder.name})

    def _remove_unlinked_blobs(self) -> int:
        removed = 0
        for blob in self._blobs.iterdir():
            facts = blob.stat()
            if facts.st_nlink == 1 and not blob.name.endswith(".partial"):
                blob.unlink()
                removed += facts.st_size
        return removed


async def _next_chunk(call: Any) -> bytes | None:
    """The next bytes, or None at the end. Raises TimeoutError, Unavailable."""
    async with asyncio.timeout(IDLE_SECONDS):
        message = await call.read()
    if message is None:  # what gRPC gives for bytes that it cannot decode
        raise Unavailable(
            "ARTIFACT_UNAVAILABLE",
            "the registry's answer is not a part of a file; it is asked again",
        )
    return None if message is grpc.aio.EOF else bytes(message.chunk)


def _fetch_error(file: ArtifactFile, error: HeadraceError) -> HeadraceError:
    if isinstance(error, Unavailable):
        return Unavailable(
            "ARTIFACT_UNAVAILABLE",
            f"{file.path} cannot be fetched from the registry: {error.message}",
        )
    return DataLoss(error.reason, f"the registry cannot give {file.path}: {error.message}")


def _resume_at(partial: Path, size_bytes: int) -> int:
    """How many bytes of a download are here already; the file is there from now on."""
    partial.touch()
    here = partial.stat().st_size
    if here <= size_bytes:
        return here
    partial.write_bytes(b"")  # more than the whole: it is something else
    return 0


def _is_complete(folder: Path, files: Iterable[ArtifactFile]) -> bool:
    return all(
        (folder / file.path).is_file() and (folder / file.path).stat().st_size == file.size_bytes
        for file in files
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
