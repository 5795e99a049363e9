"""POSIX shared memory by its key: files below /dev/shm, read and written by position.

Not mapped: a client that shrinks its memory while a mapping of it is being read kills the reader with
SIGBUS, and no check beforehand can rule that out. `pread` and `pwrite` return short counts instead. Their
one copy is what a batch would make of the bytes anyway.
"""

from __future__ import annotations

import os
import re
import stat
import weakref
from pathlib import Path

from headrace_inference.domain.extensions.shared_memory import Segment

FOLDER = Path("/dev/shm")  # noqa: S108 - where Linux has its POSIX shared memory
RESERVED_PREFIX = "triton_python_backend_shm_region_"
"""Keys that Triton refuses: its own processes use them."""

_KEY = re.compile(r"/?([^/\0]{1,255})")


class FileSegment:
    """An open file; its descriptor is closed when nobody refers to this any more.

    Not sooner: a request that still reads while the region is unregistered must not find another file under
    the same descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def size(self) -> int:
        """Return how many bytes the file has now."""
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes, or fewer where the file ends. Raises OSError."""
        parts = []
        while size and (part := os.pread(self._descriptor, size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it. Raises OSError."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            offset += written
            rest = rest[written:]


def open_system_memory(key: str, folder: Path = FOLDER) -> Segment:
    """The shared memory of a key, as shm_open takes it: a name with or without one leading slash.

    Raises OSError, or ValueError for what is no key.
    """
    match = _KEY.fullmatch(key)
    if match is None or match[1] in (".", ".."):
        raise ValueError("a key is a name of up to 255 characters, with at most one '/', in front")
    if match[1].startswith(RESERVED_PREFIX):
        raise ValueError(
            f"cannot register shared memory region with the reserved prefix '{RESERVED_PREFIX}'"
        )
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not hold us up
    descriptor = os.open(folder / match[1], flags)
    segment = FileSegment(descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise ValueError("the key is not shared memory")
    return segment
