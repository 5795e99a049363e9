"""A lock on the folder of a retraining: two processes of one machine never write one journal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import FailedPrecondition


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder while inside; it is free when this process ends, however it ends.

    Raises FailedPrecondition (RETRAINING_UNDER_WAY). Where the platform has no such locks, nothing is held.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FailedPrecondition(
                "RETRAINING_UNDER_WAY", f"another process on this machine works in {folder}"
            ) from None
        yield
    finally:
        os.close(descriptor)
