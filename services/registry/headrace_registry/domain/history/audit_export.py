"""Copies the log to files before it is trimmed, and says how much of it has to wait for that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from headrace import errors
from headrace.state.changes import EPOCH_BEGINS
from headrace.state.history import Point
from headrace.state.stored_changes import StoredChange
from headrace_registry.domain.history.audit import StoredLog

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
MOST_WAITING = 50_000
"""So many changes are kept at most for files that cannot be written: some 85 MB of the server's memory."""


class Files(Protocol):
    """Where changes are copied to. All methods raise OSError."""

    last: tuple[int, str]

    def open(self) -> None:
        """Find how far they go."""

    def begin_another(self) -> None:
        """Go on with changes of another history."""

    def append(self, entries: Sequence[StoredChange]) -> None:
        """Write the next changes, durably."""


class FollowedPoint(Protocol):
    """The state as it is followed."""

    @property
    def point(self) -> Point:
        """Return where it is in its history."""

    async def wait_until_left(self, point: Point) -> None:
        """Wait until it is elsewhere."""


class AuditExport:
    """Copies one log to files, for ever."""

    def __init__(self, log: StoredLog, files: Files, state: FollowedPoint) -> None:
        self._log = log
        self._files = files
        self._state = state
        self._opened = False
        self.problem = ""
        """What keeps the files from being written."""

    def kept_for(self, revision: int, usual: int) -> int:
        """Return how many changes the log keeps when it comes to a revision: in bounds, what waits."""
        waiting = revision - self._files.last[0] if self._opened else MOST_WAITING
        return max(usual, min(waiting, MOST_WAITING))

    async def run(self) -> None:
        """Copy what is there, and then each change as it is made."""
        while True:
            point = self._state.point
            if await self._copies():
                await self._state.wait_until_left(point)
            else:
                await asyncio.sleep(RETRY_SECONDS)

    async def _copies(self) -> bool:
        """Copy what is not copied yet; False where that has to be tried again."""
        try:
            await self._copy()
        except OSError as error:
            self._failed(error)
        except errors.Unavailable:
            return False  # the follower says what is wrong
        else:
            if self.problem:
                logger.info("audit files are written again")
            self.problem = ""
        return not self.problem

    async def _copy(self) -> None:
        if not self._opened:
            await asyncio.to_thread(self._files.open)
            self._opened = True
        if self._state.point.revision < self._files.last[0]:
            logger.warning("the state has another history than the audit files: a new one begins")
            self._files.begin_another()
        while entries := await self._log.stored_after(self._files.last[0]):
            self._say_gap(entries[0])
            await asyncio.to_thread(self._files.append, entries)

    def _say_gap(self, entry: StoredChange) -> None:
        before, head = self._files.last[0], entry.head
        begins = head is not None and head.kind == EPOCH_BEGINS
        if before and entry.revision != before + 1 and not begins:
            logger.error(
                "changes left the log before they were in audit files",
                extra={"after": before, "before": entry.revision},
            )

    def _failed(self, error: OSError) -> None:
        if not self.problem:
            logger.error(
                "audit files cannot be written: up to %d changes wait for them, then the oldest go (%s)",
                MOST_WAITING,
                error,
            )
        self.problem = str(error)
