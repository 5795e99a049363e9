"""Files that are being downloaded: one process at a time writes one, and the next goes on with it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".partial"


@contextmanager
def claim(path: Path) -> Iterator[BinaryIO | None]:
    """The file, to be written by nobody else while inside; None where another has it. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        # Another may have renamed it before it let it go: then this is no partial file any more.
        yield file if _is_at(path, descriptor) else None


def size_of(path: Path) -> int:
    """Return how much is there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
