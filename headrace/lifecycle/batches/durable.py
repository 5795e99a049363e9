"""Files that are whole or not there: written beside, flushed to the disk, renamed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import ResourceExhausted

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: Path, write: Callable[[Path], None]) -> str:
    """Have `write` write the file beside, and put it in its place; the SHA-256 of it.

    Raises ResourceExhausted (BATCH_DISK_FULL).
    """
    beside = path.with_name(f"{path.name}.tmp")
    with full_disk_told(path):
        write(beside)
        digest = flushed_digest(beside)
        beside.replace(path)
        flush_folder(path.parent)
    return digest


def flushed_digest(path: Path) -> str:
    """The SHA-256 of a file, which is on the disk then."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Tell of a full disk as an error that is expected: ResourceExhausted (BATCH_DISK_FULL)."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ResourceExhausted(
            "BATCH_DISK_FULL",
            f"there is no room for {path}: {error.strerror}; what was finished is kept: free some, and the "
            "same command goes on",
        ) from error
