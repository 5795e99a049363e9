"""Reads the files of loaded versions in the background, slowly and for ever: weights are mapped from them.

What is damaged is discarded and made anew. A version that maps a damaged file answers wrongly from the
moment that the kernel reads it again, so it is taken out and opened anew; others go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import IO

from headrace.errors import HeadraceError
from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import (
    PART_BYTES,
    FileChecks,
    damage,
    digest_of_parts,
)
from headrace_inference.adapters.artifact_cache.store import ArtifactCache
from headrace_inference.adapters.loader import ArtifactLoader, files_beside_graph
from headrace_inference.adapters.preparation.cached_opener import PreparingOpener
from headrace_inference.domain.scheduling.runner import Runner

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
PASS_SECONDS = 3600.0
"""A version's files are read again this long after they were read last, at the earliest."""
LOOK_SECONDS = 5.0
"""How often to look whether it is some version's time."""

SlowDigest = Callable[[IO[bytes], int], Awaitable[str]]
"""Hashes a file at so many bytes a second."""

Reopen = Callable[[Runner, HeadraceError], None]
"""Takes a version out that answers with these damaged files, and opens it anew."""


class CacheScrubber:
    """Compares what loaded versions were opened from with its digests, at so many bytes a second.

    With 0 bytes a second it reads nothing.
    """

    def __init__(
        self,
        cache: ArtifactCache,
        loader: ArtifactLoader,
        opener: PreparingOpener,
        checks: FileChecks,
        bytes_per_second: int,
    ) -> None:
        self._cache = cache
        self._loader = loader
        self._opener = opener
        self._checks = checks
        self._bytes_per_second = bytes_per_second
        self._read_at: weakref.WeakKeyDictionary[Runner, float] = weakref.WeakKeyDictionary()

    async def run(
        self,
        reopen: Reopen,
        pass_seconds: float = PASS_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Read for ever."""
        while self._bytes_per_second:
            for runner, record in self._due(pass_seconds):
                await self._scrub(runner, record, reopen)
            await asyncio.sleep(look_seconds)

    def _due(self, pass_seconds: float) -> list[tuple[weakref.ref[Runner], VersionRecord]]:
        """Those whose files were not read for so long; opening one has read them."""
        now = time.monotonic()
        return [
            (weakref.ref(runner), record)
            for runner, record in self._loader.loaded.items()
            if now - self._read_at.setdefault(runner, now) >= pass_seconds
        ]

    async def _scrub(
        self, runner: weakref.ref[Runner], record: VersionRecord, reopen: Reopen
    ) -> None:
        folder, entry = self._cache.folder_of(record), self._entry_of(runner)
        pushed = {file.path: file.sha256 for file in record.files}
        damaged = await self._damaged(folder, pushed, slow_digest)
        prepared = [] if entry is None else await self._damaged(*entry, slow_tree_digest)
        if (loaded := runner()) is None:  # it was closed meanwhile
            return
        self._read_at[loaded] = time.monotonic()
        for path in damaged:
            self._checks.discard(folder / path, record.key)
        if entry is not None and prepared:
            self._checks.note_damage(entry[0], record.key)
            await asyncio.to_thread(self._opener.remove_entry, entry[0])
        if used := prepared if entry is not None else _mapped(damaged, record):
            reopen(loaded, damage(used, record))
        elif damaged:
            await self._fetch(record)

    def _entry_of(self, runner: weakref.ref[Runner]) -> tuple[Path, Mapping[str, str]] | None:
        loaded = runner()
        found = None if loaded is None else self._opener.entry_of(loaded)
        if found is None:
            return None
        return found[0], {name: kept.tree_digest for name, kept in found[1].items()}

    async def _damaged(
        self, folder: Path, digests: Mapping[str, str], digest_of: SlowDigest
    ) -> list[str]:
        """The files that are not what they should be; those that are gone harm nobody."""
        damaged = []
        for name, digest in digests.items():
            try:
                with (folder / name).open("rb") as file:
                    found = await digest_of(file, self._bytes_per_second)
            except FileNotFoundError:
                continue
            except OSError as error:  # a sector that cannot be read
                logger.warning("a file of the cache cannot be read: %s", error)
                found = ""
            if found != digest:
                damaged.append(name)
        return damaged

    async def _fetch(self, record: VersionRecord) -> None:
        try:
            await self._cache.fetch(record)
        except (HeadraceError, OSError) as error:  # the next load fetches it
            logger.warning("what was damaged is not fetched yet: %s", error)


def _mapped(paths: Collection[str], record: VersionRecord) -> list[str]:
    """Of a version's damaged files those that a session of its own graph maps: external data."""
    in_memory = files_beside_graph(record) | {record.graph_path}
    return [path for path in paths if path not in in_memory]


async def slow_digest(file: IO[bytes], bytes_per_second: int) -> str:
    """The SHA-256 of a file, read at this rate."""
    checksum = hashlib.sha256()
    async for chunk in _chunks(file, bytes_per_second):
        await asyncio.to_thread(checksum.update, chunk)
    return checksum.hexdigest()


async def slow_tree_digest(file: IO[bytes], bytes_per_second: int) -> str:
    """The digest of the digests of a file's parts, read at this rate."""
    parts: list[hashlib._Hash] = []
    read = 0
    async for chunk in _chunks(file, bytes_per_second):
        if read % PART_BYTES == 0:
            parts.append(hashlib.sha256())
        await asyncio.to_thread(parts[-1].update, chunk)
        read += len(chunk)
    return digest_of_parts(part.digest() for part in parts)


async def _chunks(file: IO[bytes], bytes_per_second: int) -> AsyncIterator[bytes]:
    """The file, a part of its parts at a time."""
    while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
        yield chunk
        if hasattr(os, "posix_fadvise"):  # it need not take the place of what others read
            start = file.tell() - len(chunk)
            os.posix_fadvise(file.fileno(), start, len(chunk), os.POSIX_FADV_DONTNEED)
        await asyncio.sleep(len(chunk) / bytes_per_second)
