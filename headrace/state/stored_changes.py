"""Changes as they are stored, for those who audit them: read as far as that goes, and verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from msgspec import Raw

from headrace import errors
from headrace.state.changes import EPOCH_BEGINS, ChangedResource, Origin
from headrace.state.codec import decode_part
from headrace.state.history import entry_hash


@dataclass(frozen=True, slots=True)
class ChangeHead:
    """What an entry says of its change, but for the records."""

    revision: int
    kind: str
    resource: str
    actor: str
    at: float
    previous_hash: str
    further: tuple[ChangedResource, ...] = ()
    origin: Origin = Origin()

    def touches(self, resource: str) -> bool:
        """Return whether it is about a resource, or one below it."""
        touched = (self.resource, *(each.resource for each in self.further))
        return any(name == resource or name.startswith(f"{resource}/") for name in touched)

    def is_of(self, kind: str) -> bool:
        """Return whether something of that kind was done: `route.update`, or `route` for all of routes."""
        kinds = (self.kind, *(each.kind for each in self.further))
        return any(name == kind or name.startswith(f"{kind}.") for name in kinds)


@dataclass(frozen=True)
class StoredChange:
    """An entry of the log: the revision under which it lies there, and its bytes."""

    revision: int
    entry: bytes

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of the entry."""
        return entry_hash(self.entry)

    @cached_property
    def head(self) -> ChangeHead | None:
        """What it says, or None where it cannot be read."""
        try:
            return decode_part(ChangeHead, self.entry)
        except errors.DataLoss:
            return None


@dataclass
class ChainCheck:
    """Follows the chain of hashes over entries, oldest first, and tells where it breaks."""

    breaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is no break, and worth knowing: that the state went back to an older one."""
    count: int = 0
    first: int = 0
    last: StoredChange | None = None
    _known: dict[str, int] = field(default_factory=dict)

    def take(self, entry: StoredChange, hash_said: str = "") -> None:
        """Take the next entry, and the hash that somebody noted of it, if anybody did."""
        if hash_said and hash_said != entry.hash:
            self._broken(entry, f"was altered: its hash was {hash_said}, and is {entry.hash}")
        if entry.head is None:
            self._broken(entry, "cannot be read")
        elif entry.head.revision != entry.revision:
            self._broken(entry, f"says that it is change {entry.head.revision}")
        elif self.last is not None:
            self._follow(entry, entry.head, self.last)
        self.count += 1
        self.first = self.first or entry.revision
        self.last = entry
        self._known[entry.hash] = entry.revision

    def end_at(self, revision: int, newest_hash: str) -> None:
        """Compare with where the state said that it was, before the entries were read."""
        last = self.last.revision if self.last else 0
        if last < revision:
            self.breaks.append(f"changes {last + 1} to {revision} are missing at the end")
        elif revision and self._known.get(newest_hash) != revision:
            self.breaks.append(f"change {revision} is another than the state says: {newest_hash}")

    def _follow(self, entry: StoredChange, head: ChangeHead, last: StoredChange) -> None:
        if head.kind == EPOCH_BEGINS and head.previous_hash in self._known:
            known = self._known[head.previous_hash]
            if known != last.revision:
                self.notes.append(
                    f"at change {entry.revision} the state had gone back to revision {known}: the changes "
                    f"{known + 1} to {last.revision} were lost"
                )
            return
        if entry.revision != last.revision + 1 and head.kind != EPOCH_BEGINS:
            self._broken(entry, f"comes after change {last.revision}: what was between is missing")
        elif head.previous_hash != last.hash:
            self._broken(entry, f"follows on another change {last.revision} than the one before it")

    def _broken(self, entry: StoredChange, what: str) -> None:
        self.breaks.append(f"change {entry.revision} {what}")


@dataclass(frozen=True, slots=True)
class _Line:
    hash: str
    entry: Raw


@dataclass(frozen=True, slots=True)
class _Revision:
    revision: int


def line_of(entry: bytes) -> bytes:
    """An entry as a line of a file, with its hash. Its bytes stay as they are: the hash is of these."""
    return b'{"hash":"%s","entry":%s}\n' % (entry_hash(entry).encode(), entry)


def read_line(line: bytes) -> tuple[StoredChange, str]:
    """The entry of a line, and the hash that the line says. Raises DataLoss (STATE_UNREADABLE)."""
    found = decode_part(_Line, line)
    entry = bytes(found.entry)
    return StoredChange(decode_part(_Revision, entry).revision, entry), found.hash


def read_file(path: Path) -> Iterator[tuple[StoredChange, str]]:
    """The entries of a file, and the hashes that it says. Raises DataLoss (STATE_UNREADABLE), OSError."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield read_line(line)
            except errors.DataLoss as error:
                raise errors.DataLoss(
                    "STATE_UNREADABLE", f"line {number} of {path} cannot be read: {error.message}"
                ) from error
