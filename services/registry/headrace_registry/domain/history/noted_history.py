"""Compares the shared state with what the registry noted of its history."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.resource_names import parse_version
from headrace.state.changes import Change, ChangedResource
from headrace.state.history import Point
from headrace_registry.domain.decisions.decision import Decision

REVISIONS_SKIPPED = 10
"""So many more than were noted or are there: some may have been reached that nobody came to note, and who
reads over the gap notices it."""


@dataclass(frozen=True, slots=True)
class Noted:
    """The newest point that a registry acknowledged or followed to, and the version numbers given out.

    `past` are the epochs of the state before that point's.
    """

    point: Point = field(default_factory=Point)
    past: frozenset[str] = frozenset()
    numbers: Mapping[str, int] = field(default_factory=dict)
    """The last version number by the name of the model, deleted ones included."""


class Verdict(enum.Enum):
    """The results of comparing a state with the note of it."""

    CONTINUED = "it has all that was noted"
    OTHER = "another one, or another registry began a new epoch of it"
    LOST = "changes that were noted are not in it"


def judge(noted: Noted, found: Point, hash_at_noted: str | None) -> Verdict:
    """Compare what was noted with the state that is found.

    `hash_at_noted` is the hash of the change at the noted revision, None where that is no longer kept.
    """
    point = noted.point
    if found.epoch == point.epoch:
        there = found.hash if found.revision == point.revision else hash_at_noted
        lost = found.revision < point.revision or there not in (None, point.hash)
        return Verdict.LOST if lost else Verdict.CONTINUED
    if found.epoch in noted.past or found.revision < point.revision:
        return Verdict.LOST
    return Verdict.OTHER


def adopted(
    noted: Noted, found: Point, numbers: Mapping[str, int], begun: Point | None = None
) -> Noted:
    """Return what is noted of a state that was found, and perhaps of the epoch that was begun on it."""
    now = begun or found
    past = noted.past | {noted.point.epoch, found.epoch}
    return Noted(now, past - {"", now.epoch}, numbers)


def given_out(change: Change | Decision) -> Mapping[str, int]:
    """The version numbers that a change gave out, by the names of their models."""
    touched = (ChangedResource(change.kind, change.resource), *change.further)
    pushed = [each.resource for each in touched if each.kind == "version.push"]
    return dict(map(parse_version, pushed))


def next_revision(noted: Noted, found: Point, newest_entry: int) -> int:
    """The revision of a new epoch's first change: none that anybody may have seen in an older one."""
    return max(noted.point.revision, found.revision, newest_entry) + REVISIONS_SKIPPED
