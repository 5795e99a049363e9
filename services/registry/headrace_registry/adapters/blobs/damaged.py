"""Remembers damaged blobs until their bytes are right again."""

from __future__ import annotations

import logging
from pathlib import Path

from headrace_registry.adapters.blobs.places import BlobIdentity

logger = logging.getLogger(__name__)


class DamagedBlobs:
    """Blobs by digest, each with its identity when it was found damaged."""

    def __init__(self) -> None:
        self._found: dict[str, BlobIdentity] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)

    def digests(self) -> list[str]:
        """Those that are damaged as far as is known."""
        return list(self._found)

    def add(self, digest: str, identity: BlobIdentity, wrong: str) -> None:
        """A blob is damaged; it is logged once for each writing of it."""
        if digest not in self._found or self._found[digest] != identity:
            logger.error("a blob is damaged: %s", wrong, extra={"sha256": digest})
        self._found[digest] = identity

    def discard(self, digest: str) -> None:
        """A blob is right, or nobody needs it any more."""
        if digest in self._found:
            logger.info("a damaged blob is whole again, or gone", extra={"sha256": digest})
            del self._found[digest]

    def is_other(self, digest: str, identity: BlobIdentity) -> bool:
        """Return whether the blob was written anew since it was found damaged."""
        return self._found.get(digest) != identity


def identity_of(path: Path) -> BlobIdentity:
    """Inode, size and time of change (ns) of a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
