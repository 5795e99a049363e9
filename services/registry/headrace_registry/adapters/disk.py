"""What a full disk means."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from headrace import errors


@contextmanager
def disk_errors() -> Iterator[None]:
    """A full disk or quota becomes ResourceExhausted (DISK_FULL); other failures of the disk fly."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise errors.ResourceExhausted(
            "DISK_FULL",
            "the registry's disk is full: free some space under its data folder, then push again",
        ) from error
