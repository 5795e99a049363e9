"""Keeps the cache of artifacts within its size: the longest unused versions go, and blobs that none has."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from uuid import uuid4

from headrace_inference.adapters.artifact_cache.leases import CacheLeases
from headrace_inference.adapters.artifact_cache.partial_files import SUFFIX, claim

logger = logging.getLogger(__name__)

_ABANDONED_SECONDS = 3600.0
"""A file or folder that is still being written has changed within this time."""


def prune(
    versions: Path, blobs: Path, max_bytes: int, wanted: Collection[str], leases: CacheLeases
) -> None:
    """Remove what is not in use and not `wanted` until the rest is within the size.

    Others may remove and add files meanwhile. Raises OSError.
    """
    _remove_leftovers(versions)
    over = cached_bytes(blobs) - max_bytes
    if over <= 0:
        return
    for folder in _longest_unused_first(versions):
        if over <= 0:
            break
        if folder.name not in wanted:
            over -= _removed_bytes(folder, leases)
    _remove_unlinked(blobs)


def cached_bytes(blobs: Path) -> int:
    """The bytes of all blobs."""
    return sum(facts.st_size for _, facts in _files(blobs))


def _removed_bytes(folder: Path, leases: CacheLeases) -> int:
    """Remove a version's files unless somebody uses them; how many bytes no other version has."""
    gone = folder.with_name(f".removed-{uuid4().hex}")
    with leases.removing(folder.name) as unused:
        if not unused:
            return 0
        try:
            folder.rename(gone)
        except FileNotFoundError:  # another process was quicker
            return 0
    size = sum(facts.st_size for _, facts in _files(gone) if facts.st_nlink <= 2)
    shutil.rmtree(gone, ignore_errors=True)
    logger.info("removed an unused artifact", extra={"digest": folder.name})
    return size


def _remove_unlinked(blobs: Path) -> None:
    """Remove blobs that no version has, and downloads that nobody goes on with."""
    old = time.time() - _ABANDONED_SECONDS
    for path, facts in _files(blobs):
        if path.name.endswith(SUFFIX):
            if facts.st_mtime < old:
                _remove_partial(path)
        elif facts.st_nlink == 1:
            path.unlink(missing_ok=True)


def _remove_partial(path: Path) -> None:
    with claim(path) as claimed:
        if claimed is not None:
            path.unlink(missing_ok=True)


def _remove_leftovers(versions: Path) -> None:
    """Remove what a process left that ended while it removed or made something."""
    old = time.time() - _ABANDONED_SECONDS
    for path, facts in _stats(versions):
        if path.name.startswith(".") and facts.st_mtime < old:
            shutil.rmtree(path, ignore_errors=True)


def _longest_unused_first(versions: Path) -> list[Path]:
    used = [
        (facts.st_mtime, path) for path, facts in _stats(versions) if not path.name.startswith(".")
    ]
    return [path for _, path in sorted(used)]


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files below a folder, as far as they are still there."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                yield path, path.stat()
            except FileNotFoundError:
                continue


def _stats(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what lies directly in a folder, as far as it is still there."""
    for path in list(folder.iterdir()):
        try:
            yield path, path.stat()
        except FileNotFoundError:
            continue
