"""Turns that processes take which share a cache: one of them prepares a version, or measures it.

A turn is a lock of a file: one that dies has it no more. It saves work and is no condition: where the files
cannot be had, or whoever has the turn takes too long, the others go on without it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.02
_MEASURING = "measuring"


class Turns:
    """Turns among the processes that use a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def preparing(
        self, place: Path, patience_seconds: float, abandoned: threading.Event | None
    ) -> Iterator[None]:
        """Wait until nobody else prepares what lies there, but not for ever, nor once it is `abandoned`."""
        name = hashlib.sha256(os.fsencode(place)).hexdigest()[:32]
        with self._open(name) as descriptor:
            until = time.monotonic() + patience_seconds
            while descriptor is not None and not _take(descriptor) and time.monotonic() < until:
                if abandoned is not None and abandoned.wait(_POLL_SECONDS):
                    break
                if abandoned is None:
                    time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:  # who waits for it finds what was prepared, and who comes later another file
                with suppress(OSError):
                    (self._folder / name).unlink()

    @contextmanager
    def measuring(self) -> Iterator[bool]:
        """Yield whether no other process measures. Two would measure each other."""
        with self._open(_MEASURING) as descriptor:
            yield descriptor is None or _take(descriptor)

    @contextmanager
    def _open(self, name: str) -> Iterator[int | None]:
        path = self._folder / name
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:  # a full disk, or one that is only read
            logger.info("no turn is taken: %s", error)
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
