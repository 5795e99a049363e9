"""Artifacts on this machine's disk: fetched by digest, checked, kept.

A blob lies in the cache under its SHA-256, and a version's files are hard links to blobs in a folder of the
version's digest, since a graph finds its external data by name. Several processes may share the cache:
every file is made beside and renamed, whoever downloads one has a lock on its partial file, and files may
go at any step but for those of versions in use. A download that broke off goes on where it ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

from headrace.errors import Unavailable
from headrace.service.disk_reserve import DiskReserve
from headrace.state.records import ArtifactFile, VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks, sha256
from headrace_inference.adapters.artifact_cache.leases import CacheLeases
from headrace_inference.adapters.artifact_cache.partial_files import SUFFIX, claim, size_of
from headrace_inference.adapters.artifact_cache.pruning import cached_bytes, prune
from headrace_inference.adapters.artifact_cache.sources import IDLE_SECONDS, ArtifactSource
from headrace_inference.adapters.runtime.background_priority import give_way

logger = logging.getLogger(__name__)

_CLAIM_SECONDS = 0.1
"""How often to look whether another download of the same file has ended."""

_THREADS = 8

_SLACK = 64
"""The cache may be over its size by one part in so many."""


Result = TypeVar("Result")


class ArtifactCache:
    """The disk cache under `folder`, filled from `source`; `leases` tell which versions must stay."""

    def __init__(
        self,
        folder: Path,
        source: ArtifactSource,
        max_bytes: int,
        leases: CacheLeases,
        checks: FileChecks,
        reserve: DiskReserve | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._blobs = folder / "blobs"
        self._versions = folder / "versions"
        self._max_bytes = max_bytes
        self._leases = leases
        self._checks = checks
        self._reserve = reserve
        self._idle_seconds = idle_seconds
        self._source = source
        self._threads = ThreadPoolExecutor(_THREADS, "artifacts", give_way)
        self._added_bytes = max_bytes  # of an earlier life nothing is known
        for path in (self._blobs, self._versions):
            path.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Begin no more work; what a thread is at goes on until it is done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """In a thread of the cache's own: hashing gigabytes must not take those of requests."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *arguments)

    def has(self, record: VersionRecord) -> bool:
        """Return whether a version was fetched once, whole or not."""
        return self.folder_of(record).is_dir()

    def folder_of(self, record: VersionRecord) -> Path:
        """Return where a version's files lie, once they are fetched."""
        return self._versions / record.digest

    async def fetch(self, record: VersionRecord) -> Path:
        """The folder that holds the version's files, all of the right size; its digest is in use.

        Raises Unavailable, DataLoss for wrong bytes, and OSError.
        """
        folder = self.folder_of(record)
        for file in await self._in_thread(self._missing, record):
            await self._place(file, folder / file.path)
        await self._in_thread(os.utime, folder)
        return folder

    async def prune(self, wanted: Callable[[], Collection[str]]) -> None:
        """Remove the longest unused versions until the cache is within its size.

        Never those that are in use, or `wanted` here, which is asked in a thread. Looks at all files, hence
        not before enough was added to make a difference.
        """
        if self._added_bytes < self._max_bytes // _SLACK:
            return
        self._added_bytes = 0
        await self._in_thread(self._prune, wanted)

    async def make_room(self, record: VersionRecord, wanted: Callable[[], Collection[str]]) -> None:
        """Remove the longest unused versions where the disk has no room for one; none that are in use."""
        if self._reserve is None:
            return
        missing = await self._in_thread(self._missing, record)
        short = sum(file.size_bytes for file in missing) - self._reserve.room().left
        if short > 0:
            held = await self._in_thread(cached_bytes, self._blobs)
            await self._in_thread(self._prune, wanted, held - short)

    def _prune(self, wanted: Callable[[], Collection[str]], max_bytes: int | None = None) -> None:
        most = self._max_bytes if max_bytes is None else max_bytes
        try:
            prune(self._versions, self._blobs, most, wanted(), self._leases)
        except OSError as error:  # the next load tries
            logger.warning("the cache of artifacts was not pruned: %s", error)

    def _check_room(self, file: ArtifactFile, size: int) -> None:
        """Pass if so many bytes may be written. Raises Unavailable (CACHE_DISK_FULL)."""
        room = self._reserve.room() if self._reserve else None
        if room and size > room.left:
            raise Unavailable(
                "CACHE_DISK_FULL",
                f"there is no room for {file.path} ({file.size_bytes} bytes): the replica's disk has "
                f"{room.free} bytes free, of which {room.kept} are kept (its setting disk_reserve_bytes); "
                "free some space, or give the replica a data folder on another disk",
            )

    def _missing(self, record: VersionRecord) -> list[ArtifactFile]:
        """The files that are not there, or not of their size."""
        folder = self.folder_of(record)
        folder.mkdir(parents=True, exist_ok=True)
        return [file for file in record.files if not self._is_there(folder, file, record.key)]

    def _is_there(self, folder: Path, file: ArtifactFile, version: str) -> bool:
        path = folder / file.path
        if not path.is_file():
            return False
        if path.stat().st_size == file.size_bytes:
            return True
        self._checks.discard(path, version)
        return False

    async def _place(self, file: ArtifactFile, target: Path) -> None:
        """Have the file at `target`, from a blob that is here or from the source.

        Where another process downloads it, that is waited for, as long as it goes on.
        """
        partial = self._blobs / f"{file.sha256}{SUFFIX}"
        progress, until = -1, 0.0
        while not await self._in_thread(self._place_blob, file, target):
            with claim(partial) as claimed:
                if claimed is not None:
                    await self._complete(file, partial, claimed, target)
                    return
            if (size := size_of(partial)) != progress:
                progress, until = size, time.monotonic() + self._idle_seconds
            elif time.monotonic() > until:  # it was stopped, and may be for ever
                partial = partial.with_name(f"{file.sha256}-{uuid4().hex}{SUFFIX}")
            await asyncio.sleep(_CLAIM_SECONDS)

    async def _complete(
        self, file: ArtifactFile, partial: Path, claimed: BinaryIO, target: Path
    ) -> None:
        """Have the file at `target`; nobody else has the partial file."""
        if not await self._in_thread(self._place_blob, file, target):
            await self._download(file, claimed)
            await self._in_thread(self._keep, file, partial, target)
        await self._in_thread(partial.unlink, True)

    def _place_blob(self, file: ArtifactFile, target: Path) -> bool:
        """Link a blob to its place, if it is here and whole. Raises OSError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        blob, beside = self._blobs / file.sha256, target.with_name(f".{uuid4().hex}")
        try:
            os.link(blob, beside)
        except FileNotFoundError:
            return False
        try:
            if sha256(beside) != file.sha256:
                self._checks.discard(blob, file.path)
                return False
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
        return True

    async def _download(self, file: ArtifactFile, partial: BinaryIO) -> None:
        offset = await self._in_thread(_resume_at, partial, file.size_bytes)
        if offset == file.size_bytes:
            return
        async with aclosing(self._source.read(file, offset)) as chunks:
            async for chunk in chunks:
                self._check_room(file, len(chunk))
                await self._in_thread(partial.write, chunk)
                offset += len(chunk)
                if offset > file.size_bytes:
                    break
        await self._in_thread(partial.flush)

    def _keep(self, file: ArtifactFile, partial: Path, target: Path) -> None:
        """Make a blob of what was downloaded, and link it to its place. Raises Unavailable, OSError."""
        digest = sha256(partial)
        if digest != file.sha256:
            partial.unlink()
            raise Unavailable(
                "ARTIFACT_CORRUPT",
                f"{file.path} arrived as {digest}, not {file.sha256}; it is fetched anew",
            )
        beside = target.with_name(f".{uuid4().hex}")
        try:
            os.link(partial, beside)  # before it is a blob, which anybody may remove
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
        partial.replace(self._blobs / file.sha256)
        self._added_bytes += file.size_bytes


def _resume_at(partial: BinaryIO, size_bytes: int) -> int:
    """Return how many bytes of a download are here already; what is written goes behind them."""
    here = partial.seek(0, os.SEEK_END)
    if here <= size_bytes:
        return here
    partial.seek(0)
    partial.truncate()  # more than the whole: it is something else
    return 0
