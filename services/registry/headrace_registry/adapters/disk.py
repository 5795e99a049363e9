"""The registry's disk: what a full one means, and the room that is kept free on it.

The shared state's server often has its append-only file on the same disk. Where pushes filled it, no
deletion could be written any more that would make room.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace import errors

DEFAULT_RESERVE_BYTES = 1 << 30
DEFAULT_RESERVE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class DiskReserve:
    """The room that pushes leave free on the disk of a folder.

    `bytes_kept` None keeps the smaller of 1 GiB and 5 % of the disk.
    """

    folder: Path
    bytes_kept: int | None = None

    def room(self) -> int:
        """How many bytes may still be written there; below 0 where the reserve is used already."""
        total, _, free = shutil.disk_usage(self.folder)
        return free - self._kept(total)

    def check(self, size: int) -> None:
        """Pass if so many more bytes may be written. Raises ResourceExhausted (DISK_FULL)."""
        total, _, free = shutil.disk_usage(self.folder)
        kept = self._kept(total)
        if size > free - kept:
            raise errors.ResourceExhausted(
                "DISK_FULL",
                f"{size} bytes would have to be written, and the registry's disk has {free} free, of which "
                f"{kept} are kept (its setting disk_reserve_bytes): delete versions or free some space "
                "under its data folder, then push again",
                facts={"free": str(free), "kept": str(kept), "setting": "disk_reserve_bytes"},
            )

    def _kept(self, total: int) -> int:
        if self.bytes_kept is not None:
            return self.bytes_kept
        return min(DEFAULT_RESERVE_BYTES, int(total * DEFAULT_RESERVE_SHARE))


@contextmanager
def disk_errors() -> Iterator[None]:
    """A full disk or quota becomes ResourceExhausted (DISK_FULL); other failures of the disk fly."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise disk_full() from error


def disk_full() -> errors.ResourceExhausted:
    """The error that says so."""
    return errors.ResourceExhausted(
        "DISK_FULL",
        "the registry's disk is full: free some space under its data folder, then push again",
    )
