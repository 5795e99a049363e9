"""Room for pushes: how many are under way, how many bytes they announced, and how slowly they may send.

An upload takes its room when it is announced, not when its bytes are there: those who come later are told
at once that there is none, and not after they have sent what does not fit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from headrace import errors
from headrace_registry.domain.pushes.pace import Pace

Item = TypeVar("Item")

RETRY_SECONDS = 2.0
YIELD_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The most pushes under way, their announced bytes, and the longest pause of each.

    One that is behind by `yield_seconds` keeps its place only while nobody else needs it.
    """

    pushes: int
    staged_bytes: int
    idle_seconds: float
    yield_seconds: float = YIELD_SECONDS


class Uploads:
    """The pushes that are under way, from their first message to their answer."""

    def __init__(self, limits: UploadLimits, check_room: Callable[[int], None]) -> None:
        """`check_room` passes where so many bytes may be written to the disk, and raises where not."""
        self._limits = limits
        self._check_room = check_room
        self._open: set[Upload] = set()

    @property
    def count(self) -> int:
        """Return how many pushes are under way."""
        return len(self._open)

    @property
    def staged(self) -> int:
        """The bytes that they announced."""
        return sum(upload.staged for upload in self._open)

    @contextmanager
    def open(self) -> Iterator[Upload]:
        """One more push while inside. Raises ResourceExhausted (TOO_MANY_PUSHES)."""
        if len(self._open) >= self._limits.pushes and not self._end_stalled():
            raise errors.ResourceExhausted(
                "TOO_MANY_PUSHES",
                f"{self._limits.pushes} pushes are under way, as many as the registry takes at a time (its "
                "setting max_pushes): push again later",
                facts={"limit": str(self._limits.pushes), "setting": "max_pushes"},
                retry_after_seconds=RETRY_SECONDS,
            )
        upload = Upload(self, Pace(self._limits.idle_seconds))
        self._open.add(upload)
        try:
            yield upload
        finally:
            self._open.discard(upload)

    def check(self, staged: int, written: int) -> None:
        """Pass if there is room for so many more staged bytes, where so many will be written in all.

        Those that stall make room. Raises ResourceExhausted (STAGING_FULL, DISK_FULL).
        """
        while True:
            try:
                self._check_staged(staged)
                self._check_room(written + sum(upload.unwritten for upload in self._open))
            except errors.ResourceExhausted:
                if not (
                    self._fits_alone(staged, written) and self._end_stalled(holding_bytes=True)
                ):
                    raise
            else:
                return

    def _fits_alone(self, staged: int, written: int) -> bool:
        try:
            self._check_room(written)
        except errors.ResourceExhausted:
            return False
        return staged <= self._limits.staged_bytes

    def _check_staged(self, staged: int) -> None:
        taken, limit = self.staged, self._limits.staged_bytes
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

    def _end_stalled(self, *, holding_bytes: bool = False) -> bool:
        """End the push that is furthest behind, if one is far enough."""
        candidates = [each for each in self._open if each.staged or not holding_bytes]
        slowest = max(candidates, key=Upload.behind_seconds, default=None)
        if slowest is None or slowest.behind_seconds() < self._limits.yield_seconds:
            return False
        self._open.discard(slowest)
        slowest.end()
        return True


class Upload:
    """One push that is under way."""

    def __init__(self, uploads: Uploads, pace: Pace) -> None:
        self._uploads = uploads
        self._pace = pace
        self.staged = 0
        """The bytes that it announced."""
        self.unwritten = 0
        """The bytes that it is going to write to the disk."""

    def behind_seconds(self) -> float:
        """Return how long its caller has kept it waiting beyond what the bytes that came may take."""
        return self._pace.behind_seconds()

    def end(self) -> None:
        """End it, since others need its place."""
        self._pace.end()

    def reserve(self, size: int, copies: int) -> None:
        """Take room for an artifact, which is going to be on the disk as often as `copies` says.

        Raises ResourceExhausted (STAGING_FULL, DISK_FULL).
        """
        self._uploads.check(size, copies * size)
        self.staged, self.unwritten = size, copies * size

    async def paced(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks as they come. Raises DeadlineExceeded (UPLOAD_STALLED) where they come too slowly."""
        while (chunk := await self.wait(anext(chunks, None))) is not None:
            self._pace.count(len(chunk))
            self.unwritten -= len(chunk)
            yield chunk
            del chunk  # an upload that stalls must not hold it

    async def wait(self, coming: Awaitable[Item]) -> Item:
        """Return what the caller is to send next. Raises DeadlineExceeded (UPLOAD_STALLED)."""
        return await self._pace.wait(coming)
