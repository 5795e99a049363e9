"""Tells whether a file is still the one that was read."""

from __future__ import annotations

import os
from pathlib import Path

Stamp = tuple[int, int, int]
"""Inode, size and time of the last change."""


def stamp_of(path: Path) -> Stamp | None:
    """Return what tells that a file, or what a link leads to, is another one; None if it cannot be read."""
    try:
        found = os.stat(path)  # noqa: PTH116 - follows links, as Kubernetes swaps them
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
