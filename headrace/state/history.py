"""Follows a reader's point in the state's history, and checks that what comes next continues it.

Revisions alone do not tell: after a backup was restored, or the end of an append-only file was lost, and
other changes were made, the same epoch reaches the same revisions again with another content. The hashes of
the entries tell, since each change names the hash of the one before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from headrace import errors
from headrace.state.changes import Change

HISTORY_DIFFERS = "HISTORY_DIFFERS"


@dataclass(frozen=True, slots=True)
class Point:
    """A point in the history of a state: the newest change that a reader has, and the state's epoch.

    `hash` is the SHA-256 of the change's entry, '' before the first change.
    """

    epoch: str = ""
    revision: int = 0
    hash: str = ""

    def is_after(self, other: Point) -> bool:
        """Return whether this point may lie after another, as far as two points alone can tell."""
        if self.epoch != other.epoch:
            return False
        if self.revision == other.revision:
            return self.hash == other.hash
        return self.revision > other.revision


@dataclass(frozen=True, slots=True)
class Entry:
    """A change as it was read, with the SHA-256 of its entry."""

    change: Change
    hash: str


def entry_hash(entry: bytes) -> str:
    """The hash of an entry as it lies in the log, which the next entry names."""
    return hashlib.sha256(entry).hexdigest()


def join(point: Point, entry: Entry) -> Point:
    """The point after an entry.

    Raises OutOfRange: CHANGE_MISSED where it is not the next, HISTORY_DIFFERS where it follows on another.
    """
    change = entry.change
    if change.revision != point.revision + 1:
        raise errors.OutOfRange(
            "CHANGE_MISSED", f"change {change.revision} does not follow revision {point.revision}"
        )
    if change.previous_hash != point.hash:
        raise errors.OutOfRange(
            HISTORY_DIFFERS,
            f"change {change.revision} follows another change {point.revision} than the one known here",
        )
    return Point(point.epoch, change.revision, entry.hash)
