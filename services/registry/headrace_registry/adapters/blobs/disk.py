"""The registry's disk: what a full one means, and that pushes leave room on it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from headrace import errors
from headrace.service.disk_reserve import DiskReserve


def check_room(reserve: DiskReserve, size: int) -> None:
    """Pass if so many more bytes may be written. Raises ResourceExhausted (DISK_FULL)."""
    room = reserve.room()
    if size > room.left:
        raise errors.ResourceExhausted(
            "DISK_FULL",
            f"{size} bytes would have to be written, and the registry's disk has {room.free} free, of "
            f"which {room.kept} are kept (its setting disk_reserve_bytes): delete versions or free some "
            "space under its data folder, then push again",
            facts={"free": str(room.free), "kept": str(room.kept), "setting": "disk_reserve_bytes"},
        )


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
