"""Which reports of which replica's life were merged already, so that none is merged twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from headrace_monitor.domain.telemetry import Report

REMEMBERED = 4096
"""How many sequence numbers below the highest are told apart; older ones count as merged.

A replica sends in order and keeps far fewer unsent, so only a number it sent before is ever as old."""


class LifeKey(NamedTuple):
    """One life of a replica."""

    replica: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Life:
    """What came of one life: bit i of `merged` is set when the report `highest - i` was merged.

    `first_end_ns` and `last_end_ns` are of its reports' intervals; `seen_ns` is when it was last heard of.
    """

    highest: int = 0
    merged: int = 0
    first_end_ns: int = 0
    last_end_ns: int = 0
    seen_ns: int = 0
    dropped_reports: int = 0

    def has(self, sequence: int) -> bool:
        """Whether the report of this number was merged (or is too old to tell)."""
        behind = self.highest - sequence
        return behind >= 0 and (behind >= REMEMBERED or bool(self.merged >> behind & 1))

    def after(self, report: Report, now_ns: int) -> Life:
        """The life once `report`, not merged before, is merged, now."""
        ahead = max(0, report.sequence - self.highest)
        highest = self.highest + ahead
        shifted = self.merged << min(ahead, REMEMBERED) | 1 << (highest - report.sequence)
        return replace(
            self,
            highest=highest,
            merged=shifted & (1 << REMEMBERED) - 1,
            first_end_ns=min(self.first_end_ns or report.end_ns, report.end_ns),
            last_end_ns=max(self.last_end_ns, report.end_ns),
            seen_ns=now_ns,
            dropped_reports=max(self.dropped_reports, report.dropped_reports),
        )
