"""Records which versions of a cache are in use, by this process or others that share the folder.

Each process has a folder of its own with an empty file for each digest that it uses, and holds a lock in it
for as long as it lives: what a killed process left behind is in use by nobody. Whoever begins to use a
digest, and whoever removes one, pass one gate, so that nothing goes between a look and a removal.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.01

_GATE = "gate"
_LOCK = ".lock"


class CacheLeases:
    """The digests in use. Without a folder, or where it cannot be written, those of this process alone.

    The methods block for moments, and may be called from any thread.
    """

    def __init__(self, folder: Path | None = None, own: Path | None = None) -> None:
        self._folder = folder
        self._own = own
        # Entered anew by a thread that has it: a release may come of collecting garbage, at any moment.
        self._mutex = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._released: deque[str] = deque()
        """What finalizers released, until somebody holds the mutex."""

    def hold(self, digest: str) -> None:
        """Use a version's files from now on; `release` as often as held."""
        with self._mutex:
            self._take_released()
            self._counts[digest] += 1
            if self._own is None or self._counts[digest] > 1:
                return
            try:
                with _locked(self._own.parent / _GATE, fcntl.LOCK_SH):
                    (self._own / digest).touch()
            except OSError as error:  # a full disk: what is there can be used all the same
                logger.warning("others do not see that a version is in use: %s", error)

    def release(self, digest: str) -> None:
        """Use them no more."""
        self._released.append(digest)
        with self._mutex:
            self._take_released()

    def release_later(self, digest: str) -> None:
        """The same for finalizers, which run wherever memory is taken, also while the mutex is held."""
        self._released.append(digest)

    def _take_released(self) -> None:
        while self._released:
            digest = self._released.popleft()
            self._counts[digest] -= 1
            if self._counts[digest] > 0:
                continue
            del self._counts[digest]
            if self._own is not None:
                with suppress(OSError):
                    (self._own / digest).unlink()

    @contextmanager
    def removing(self, digest: str) -> Iterator[bool]:
        """Yield whether nobody uses a version's files; nobody begins to while inside. Raises OSError."""
        with self._mutex:
            self._take_released()
            if digest in self._counts or self._folder is None:
                yield digest not in self._counts
                return
            with _locked(self._folder / _GATE, fcntl.LOCK_EX):
                yield not self._others_hold(self._folder, digest)

    def _others_hold(self, folder: Path, digest: str) -> bool:
        owners = [path for path in folder.iterdir() if path.is_dir() and path != self._own]
        return any((owner / digest).exists() for owner in owners if _is_alive(owner))


@contextmanager
def open_cache_leases(folder: Path) -> Iterator[CacheLeases]:
    """The leases of this process, given up at the end."""
    try:
        own, lock = _begin(folder)
    except OSError as error:
        logger.warning("versions in use are not told to others on this folder: %s", error)
        yield CacheLeases()
        return
    try:
        yield CacheLeases(folder, own)
    finally:
        os.close(lock)
        shutil.rmtree(own, ignore_errors=True)


def _begin(folder: Path) -> tuple[Path, int]:
    """A folder of this process, and the descriptor that holds its lock. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = folder / uuid4().hex
    with _locked(folder / _GATE, fcntl.LOCK_EX):
        own.mkdir(mode=0o700)
        lock = os.open(own / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return own, lock


def _is_alive(owner: Path) -> bool:
    """Return whether the process of that folder lives; what a dead one left is removed."""
    try:
        lock = os.open(owner / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        shutil.rmtree(owner, ignore_errors=True)
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    shutil.rmtree(owner, ignore_errors=True)
    return False


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    """Hold a lock of a file while inside. Raises OSError, also where that takes long."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> None:
    """Whoever has the lock has it for moments, unless it was stopped."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(
                    errno.ETIMEDOUT, "another process keeps the cache's gate"
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return
