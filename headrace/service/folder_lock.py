"""A folder that one process has to itself: the kernel lets it go however the process ends."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace import errors

logger = logging.getLogger(__name__)

_MAX_HOLDER_BYTES = 200
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


@contextmanager
def hold_folder(folder: Path, file_name: str, holder: str) -> Iterator[int]:
    """Be the only `holder` (a word for what this process is) of `folder` while inside.

    Gives the descriptor of the lock, the file of that name in the folder, which is made if need be: a
    process that inherits the descriptor holds the folder, too, until it ends.
    Raises FailedPrecondition: DATA_IN_USE while another process holds it, DATA_UNUSABLE where it cannot be
    written.
    """
    lock = _open(folder, file_name)
    try:
        _lock(lock, folder)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{holder}, process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _open(folder: Path, file_name: str) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / file_name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.FailedPrecondition(
            "DATA_UNUSABLE",
            f"{folder} cannot be used: {error.strerror}; make it writable, or choose another folder "
            "with --data",
            facts={"folder": str(folder)},
        ) from error


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, _MAX_HOLDER_BYTES, 0).decode(errors="replace").strip()
        raise errors.FailedPrecondition(
            "DATA_IN_USE",
            f"{folder} is in use by {holder or 'a process that is not known'}, or by what it started; "
            "stop that first, or choose another folder with --data",
            facts={"folder": str(folder), "holder": holder},
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning(
            "the folder's file system has no locks: see to it that one process has it",
            extra={"folder": str(folder)},
        )
