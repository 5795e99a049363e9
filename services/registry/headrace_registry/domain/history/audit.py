"""Reads the log for those who audit it: pages of the changes that a filter lets through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace.state.stored_changes import ChangeHead, StoredChange
from headrace_registry.domain.pages import MAX_BYTES

LOOKED_AT = 2048
"""Entries that a page looks at. One that finds none among them is empty, and another page follows."""


class StoredLog(Protocol):
    """The log as it is stored."""

    async def stored_after(self, revision: int) -> Sequence[StoredChange]:
        """Some of the entries after a revision, oldest first; none where there are none."""

    async def stored_before(self, revision: int) -> Sequence[StoredChange]:
        """Some of the entries before a revision, newest first; those of the end for revision 0."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The changes that somebody looks for; a field that is empty lets all through."""

    resource: str = ""
    actor: str = ""
    kind: str = ""
    since: float = 0.0
    until: float = math.inf

    def takes(self, change: StoredChange) -> bool:
        """Return whether it is one of them. One that cannot be read is, where all are looked for."""
        head = change.head
        return self == AuditFilter() if head is None else self._takes(head)

    def _takes(self, head: ChangeHead) -> bool:
        return (
            (not self.resource or head.touches(self.resource))
            and self.actor in ("", head.actor)
            and (not self.kind or head.is_of(self.kind))
            and self.since <= _as_told(head.at) < self.until
        )


def _as_told(at: float) -> float:
    """The time as callers were told it, and ask by: whole microseconds, which `round(at, 6)` may miss."""
    return round(at * 1e6) / 1e6


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some changes, and the revision at which the next page goes on: 0 where this is the last."""

    changes: tuple[StoredChange, ...]
    next_revision: int = 0


async def read_page(
    log: StoredLog, wanted: AuditFilter, place: int, size: int, *, oldest_first: bool
) -> AuditPage:
    """The next changes after (or, newest first, before) a place; 0 is where the log begins or ends.

    Raises Unavailable.
    """
    found: list[StoredChange] = []
    room, looked_at = MAX_BYTES, 0
    while True:
        entries = await (log.stored_after if oldest_first else log.stored_before)(place)
        if not entries:
            return AuditPage(tuple(found))
        for entry in entries:
            if wanted.takes(entry):
                room -= len(entry.entry)
                if found and room < 0:
                    return AuditPage(tuple(found), place)
                found.append(entry)
            place = entry.revision
            if len(found) == size:
                return AuditPage(tuple(found), place)
        looked_at += len(entries)
        if looked_at >= LOOKED_AT:
            return AuditPage(tuple(found), place)
