"""Compares files of a cache with their digests before they are opened, and removes what is damaged."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headrace.errors import Unavailable
from headrace.state.records import ArtifactFile, VersionRecord

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


def check_files(folder: Path, record: VersionRecord, only: Collection[str] | None = None) -> None:
    """See that a version's files in a folder, or `only` some by their paths, are what was pushed.

    One that is not is removed, so that it is fetched again. Files without a digest are their owner's
    affair. Raises Unavailable (ARTIFACT_DAMAGED), OSError.
    """
    files = [file for file in record.files if file.sha256 and (only is None or file.path in only)]
    found = digests([folder / file.path for file in files])
    damaged = [file for file, digest in zip(files, found, strict=True) if digest != file.sha256]
    for file in damaged:
        note_damage(folder / file.path, record.key)
        (folder / file.path).unlink(missing_ok=True)
    if damaged:
        raise _damaged(record, damaged)


def note_damage(path: Path, version: str = "") -> None:
    """Tell whoever looks after the disk."""
    facts = {"path": str(path), "version": version}
    logger.error("a file of the cache is damaged: it is discarded and made anew", extra=facts)


def _damaged(record: VersionRecord, files: Sequence[ArtifactFile]) -> Unavailable:
    paths = ", ".join(file.path for file in files)
    return Unavailable(
        DAMAGED,
        f"{paths} of {record.key} is not on the disk as it was pushed; it was removed, and is fetched "
        "again. See to the disk of the data folder",
    )
