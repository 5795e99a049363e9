"""Reading files at a bounded rate, without taking the page cache from others."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import IO

from headrace_registry.adapters.threads import run_uncancelled

CHUNK_BYTES = 1 << 20


async def slow_digest(blob: IO[bytes], bytes_per_second: int) -> str:
    """The SHA-256 of a file, read at this rate; 0: as fast as it goes."""
    checksum = hashlib.sha256()
    while chunk := await run_uncancelled(blob.read, CHUNK_BYTES):
        await run_uncancelled(checksum.update, chunk)
        _forget_pages(blob, len(chunk))
        await asyncio.sleep(len(chunk) / bytes_per_second if bytes_per_second else 0)
    return checksum.hexdigest()


def _forget_pages(blob: IO[bytes], size: int) -> None:
    """Drop what was just read from the system's page cache, so that others' pages can stay."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(blob.fileno(), blob.tell() - size, size, os.POSIX_FADV_DONTNEED)
