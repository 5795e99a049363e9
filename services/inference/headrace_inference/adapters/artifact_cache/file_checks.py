"""Compares files of a cache with their digests before they are opened, and removes what is damaged."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from headrace.errors import Unavailable
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.background_priority import give_way, reserve_cores

logger = logging.getLogger(__name__)

_THREADS = 4
_WORTH_THREADS_BYTES = 4 << 20
"""Less is hashed before anybody notices."""

Item = TypeVar("Item")
Made = TypeVar("Made")

PART_BYTES = 16 << 20
"""Of a file that is hashed in parts."""

_READ_BYTES = 1 << 20

DAMAGED = "ARTIFACT_DAMAGED"


def sha256(path: Path) -> str:
    """The digest of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(path: Path) -> str:
    """The digest of the digests of a file's parts, which threads make side by side. Raises OSError."""
    size = path.stat().st_size
    starts = range(0, size, PART_BYTES)
    return digest_of_parts(_side_by_side(functools.partial(_part_digest, path), starts, size))


def digest_of_parts(parts: Iterable[bytes]) -> str:
    """The digest of the digests of a file's parts."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _part_digest(path: Path, start: int) -> bytes:
    checksum, left = hashlib.sha256(), PART_BYTES
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while left and (chunk := file.read(min(left, _READ_BYTES))):
            checksum.update(chunk)
            left -= len(chunk)
    return checksum.digest()


def digests(paths: Sequence[Path]) -> list[str]:
    """The digests of files, which threads make side by side. Raises OSError."""
    return _side_by_side(sha256, paths, sum(path.stat().st_size for path in paths))


def _side_by_side(digest: Callable[[Item], Made], items: Iterable[Item], size: int) -> list[Made]:
    """In threads that give way to those that serve, and on some of the cores, where that is worth it."""
    if size < _WORTH_THREADS_BYTES:
        return list(map(digest, items))
    with reserve_cores(), ThreadPoolExecutor(_THREADS, "digest", give_way) as threads:
        return list(threads.map(digest, items))


class FileChecks:
    """The comparisons of a replica's caches."""

    def __init__(self) -> None:
        self.damaged_files = 0
        """How many files were damaged since this replica started."""

    def check(
        self, folder: Path, record: VersionRecord, only: Collection[str] | None = None
    ) -> None:
        """See that a version's files in a folder, or `only` some by their paths, are what was pushed.

        One that is not is removed, so that it is fetched again. Files without a digest are their owner's
        affair. Raises Unavailable (ARTIFACT_DAMAGED), OSError.
        """
        files = [file for file in record.files if file.sha256]
        files = [file for file in files if only is None or file.path in only]
        found = digests([folder / file.path for file in files])
        damaged = [file for file, digest in zip(files, found, strict=True) if digest != file.sha256]
        for file in damaged:
            self.discard(folder / file.path, record.key)
        if damaged:
            raise damage([file.path for file in damaged], record)

    def discard(self, path: Path, version: str) -> None:
        """Remove a damaged file."""
        self.note_damage(path, version)
        path.unlink(missing_ok=True)

    def note_damage(self, path: Path, version: str = "") -> None:
        """Tell whoever looks after the disk."""
        self.damaged_files += 1
        facts = {"path": str(path), "version": version}
        logger.error("a file of the cache is damaged: it is discarded and made anew", extra=facts)


def damage(paths: Sequence[str], record: VersionRecord) -> Unavailable:
    """The error of a version with damaged files."""
    return Unavailable(
        DAMAGED,
        f"{', '.join(paths)} of {record.key} is not on the disk as it was made; it was removed, and is "
        "made anew. See to the disk of the data folder",
    )
