"""One registry on a folder: the second would clear the first one's staging and delete its blobs."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from headrace import errors

logger = logging.getLogger(__name__)

FILE_NAME = "registry.lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """The folder is this process's while inside; the kernel lets it go however the process ends.

    Raises FailedPrecondition: DATA_IN_USE while another registry has it, DATA_UNUSABLE where it cannot be
    written.
    """
    with _open(folder) as file:
        _lock(folder, file)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _open(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / FILE_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise errors.FailedPrecondition(
            "DATA_UNUSABLE",
            f"the registry cannot use its folder {folder}: {error.strerror}; make it writable, or choose "
            "another with --data",
            facts={"folder": str(folder)},
        ) from error


def _lock(folder: Path, file: IO[str]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise errors.FailedPrecondition(
            "DATA_IN_USE",
            f"another registry ({file.read(100) or 'not known which'}) has the folder {folder}: stop it, "
            "or choose another folder with --data",
            facts={"folder": str(folder)},
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning(
            "the folder's file system has no locks: see to it that one registry has it",
            extra={"folder": str(folder)},
        )
