"""The room that services leave free on a disk.

The shared state's server often has its append-only file on the same disk as artifacts and their copies.
Where those filled it, nothing could be written any more, not even the deletions that would make room.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

DEFAULT_BYTES = 1 << 30
DEFAULT_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Room:
    """The free bytes of a disk, and how many of them are reserved."""

    free: int
    kept: int

    @property
    def left(self) -> int:
        """Return how many bytes may be written; below 0 where the reserve is used already."""
        return self.free - self.kept


@dataclass(frozen=True, slots=True)
class DiskReserve:
    """The room that is left free on the disk of a folder.

    `bytes_kept` None keeps a part of the smaller of 1 GiB and 5 % of the disk: what is refused first keeps
    all of that, what is to go on after that keeps less.
    """

    folder: Path
    bytes_kept: int | None = None
    part: float = 1.0

    def room(self) -> Room:
        """Return what there is now. Raises OSError."""
        total, _, free = shutil.disk_usage(self.folder)
        usual = int(min(DEFAULT_BYTES, total * DEFAULT_SHARE) * self.part)
        return Room(free, usual if self.bytes_kept is None else self.bytes_kept)
