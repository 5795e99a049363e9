"""The nouns of truth: labels, and what came of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about a row of a request: a class or a number."""

    request_id: str
    truth: str | float
    row: int = 0
    time_ns: int = 0
    """When it became known; 0 for when it is told."""


class Outcome(enum.Enum):
    """What becomes of a label."""

    JOINED = "joined"
    DUPLICATE = "duplicates"
    CORRECTED = "corrected"
    OUTDATED = "outdated"
    NOT_SAMPLED = "not_sampled"
    UNKNOWN = "unknown"
    WRONG_KIND = "wrong_kind"


@dataclass(slots=True)
class LabelCounts:
    """How many labels had which outcome."""

    joined: int = 0
    """They belong to an answer, and were not told before."""
    duplicates: int = 0
    """The same was told before."""
    corrected: int = 0
    """They differ from what was told before, and count instead."""
    outdated: int = 0
    """They differ from what was told before with a later time, and do not count."""
    not_sampled: int = 0
    """Their requests are not in the sample."""
    unknown: int = 0
    """No answer is kept of their requests; they wait for one."""
    wrong_kind: int = 0
    """They are no number, where the answer is one."""

    def count(self, outcome: Outcome) -> None:
        """Count one."""
        setattr(self, outcome.value, getattr(self, outcome.value) + 1)

    def add(self, other: LabelCounts) -> None:
        """Add others."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
