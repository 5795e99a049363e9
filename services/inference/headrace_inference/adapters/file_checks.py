"""Compares files of a cache with their digests before they are opened, and removes what is damaged."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headrace.errors import Unavailable
from headrace.state.records import VersionRecord

logger = logging.getLogger(__name__)

_THREADS = 4
_WORTH_THREADS_BYTES = 64 << 20
"""Less is hashed sooner than threads have begun."""

DAMAGED = "ARTIFACT_DAMAGED"


def sha256(path: Path) -> str:
    """The digest of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(paths: Sequence[Path]) -> list[str]:
    """The digests of files, in threads where that is worth it. Raises OSError."""
    if len(paths) < 2 or sum(path.stat().st_size for path in paths) < _WORTH_THREADS_BYTES:
        return [sha256(path) for path in paths]
    with ThreadPoolExecutor(_THREADS, "digest") as threads:
        return list(threads.map(sha256, paths))


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
