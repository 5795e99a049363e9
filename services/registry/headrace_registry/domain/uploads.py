"""Room for pushes: how many are under way, how many bytes they announced, and how slowly they may send.

An upload takes its room when it is announced, not when its bytes are there: those who come later are told
at once that there is none, and not after they have sent what does not fit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from headrace import errors

Item = TypeVar("Item")

SLOWEST_BYTES_PER_SECOND = 16 << 10
"""Beyond the idle limit: a byte now and then must not hold a place for ever."""
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How many pushes may be under way, with how many bytes announced, and how long each may pause."""

    pushes: int
    staged_bytes: int
    idle_seconds: float


class Uploads:
    """The pushes that are under way, from their first message to their answer."""

    def __init__(self, limits: UploadLimits, check_room: Callable[[int], None]) -> None:
        """`check_room` passes where so many bytes may be written to the disk, and raises where not."""
        self._limits = limits
        self._check_room = check_room
        self._open: set[Upload] = set()

    @contextmanager
    def open(self) -> Iterator[Upload]:
        """One more push while inside. Raises ResourceExhausted (TOO_MANY_PUSHES)."""
        if len(self._open) >= self._limits.pushes:
            raise errors.ResourceExhausted(
                "TOO_MANY_PUSHES",
                f"{self._limits.pushes} pushes are under way, as many as the registry takes at a time (its "
                "setting max_pushes): push again later",
                facts={"limit": str(self._limits.pushes), "setting": "max_pushes"},
                retry_after_seconds=RETRY_SECONDS,
            )
        upload = Upload(self, self._limits.idle_seconds)
        self._open.add(upload)
        try:
            yield upload
        finally:
            self._open.discard(upload)

    def check(self, staged: int, written: int) -> None:
        """Pass if there is room for so many more staged bytes, where so many will be written in all.

        Raises ResourceExhausted (STAGING_FULL, DISK_FULL).
        """
        taken, limit = sum(upload.staged for upload in self._open), self._limits.staged_bytes
        if taken + staged > limit:
            fits = staged <= limit
            raise errors.ResourceExhausted(
                "STAGING_FULL",
                f"the artifact has {staged} bytes, other pushes under way have {taken}, and the registry "
                f"takes {limit} at a time (its setting max_staged_bytes): "
                + ("push again later" if fits else "raise the setting"),
                facts={"limit": str(limit), "taken": str(taken), "setting": "max_staged_bytes"},
                retry_after_seconds=RETRY_SECONDS if fits else None,
            )
        self._check_room(written + sum(upload.unwritten for upload in self._open))


class Upload:
    """One push that is under way."""

    def __init__(self, uploads: Uploads, idle_seconds: float) -> None:
        self._uploads = uploads
        self._idle_seconds = idle_seconds
        self._waited_seconds = 0.0
        self._received = 0
        self.staged = 0
        """The bytes that it announced."""
        self.unwritten = 0
        """The bytes that it is going to write to the disk."""

    def reserve(self, size: int, copies: int) -> None:
        """Take room for an artifact, which is going to be on the disk as often as `copies` says.

        Raises ResourceExhausted (STAGING_FULL, DISK_FULL).
        """
        self._uploads.check(size, copies * size)
        self.staged, self.unwritten = size, copies * size

    async def paced(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks as they come. Raises DeadlineExceeded (UPLOAD_STALLED) where they come too slowly."""
        while (chunk := await self.wait(anext(chunks, None))) is not None:
            self._received += len(chunk)
            self.unwritten -= len(chunk)
            yield chunk
            del chunk  # an upload that stalls must not hold it

    async def wait(self, coming: Awaitable[Item]) -> Item:
        """What the caller is to send next. Raises DeadlineExceeded (UPLOAD_STALLED)."""
        loop = asyncio.get_running_loop()
        earned = self._received / SLOWEST_BYTES_PER_SECOND
        left = self._idle_seconds + earned - self._waited_seconds
        started = loop.time()
        try:
            async with asyncio.timeout(min(self._idle_seconds, left)):
                return await coming
        except TimeoutError:
            raise self._stalled() from None
        finally:
            self._waited_seconds += loop.time() - started

    def _stalled(self) -> errors.DeadlineExceeded:
        return errors.DeadlineExceeded(
            "UPLOAD_STALLED",
            f"the push stood still after {self._received} of {self.staged} bytes: it may pause for "
            f"{self._idle_seconds:g} s (the registry's setting upload_idle_seconds) and must come with "
            f"{SLOWEST_BYTES_PER_SECOND} bytes a second",
            facts={"limit": f"{self._idle_seconds:g}", "setting": "upload_idle_seconds"},
        )
