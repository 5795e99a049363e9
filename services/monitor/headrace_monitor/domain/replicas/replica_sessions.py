"""De-duplicates reports per replica process, and knows which are missing and how the process ended.

A session is one process of a replica, from its start to its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from headrace_monitor.domain.telemetry.report import Report

REMEMBERED = 4096
"""How many sequence numbers below the highest are told apart; older ones count as merged.

A replica sends in order and keeps far fewer unsent, so only a number it sent before is ever as old."""


class SessionKey(NamedTuple):
    """One session of a replica."""

    replica: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class ReplicaSession:
    """The state of one session: bit i of `merged` is set when the report `highest - i` was merged.

    `first_end_ns` and `last_end_ns` are of its reports' intervals, by the monitor's clock; `first_seen_ns`
    and `seen_ns` are when it was first and last heard of, by the steady time.
    """

    highest: int = 0
    merged: int = 0
    first_end_ns: int = 0
    last_end_ns: int = 0
    seen_ns: int = 0
    dropped_reports: int = 0
    reports: int = 0
    """How many reports were merged."""
    begin_ns: int = 0
    """When the interval of its first report began."""
    first_seen_ns: int = 0
    interval_ns: int = 0
    """How long its newest interval was."""
    ended: bool = False
    """True once its last report is merged: nothing is lost."""
    missing_from_ns: int = 0
    """The missing reports are of the time from here ..."""
    missing_until_ns: int = 0
    """... to here."""
    clock_ahead_ns: int = 0
    """How far its clock is ahead of the monitor's."""

    @property
    def missing(self) -> int:
        """The number of reports below the highest that never came: the replica dropped them."""
        return max(0, self.highest - self.reports)

    def has(self, sequence: int) -> bool:
        """True where the report of this number was merged, or is too old to tell."""
        behind = self.highest - sequence
        return behind >= 0 and (behind >= REMEMBERED or bool(self.merged >> behind & 1))

    def after(self, report: Report, steady_ns: int, clock_ahead_ns: int = 0) -> ReplicaSession:
        """The session once `report`, not merged before, is merged, now."""
        ahead = max(0, report.sequence - self.highest)
        highest = self.highest + ahead
        shifted = self.merged << min(ahead, REMEMBERED) | 1 << (highest - report.sequence)
        session = replace(
            self,
            highest=highest,
            merged=shifted & (1 << REMEMBERED) - 1,
            first_end_ns=min(self.first_end_ns or report.end_ns, report.end_ns),
            last_end_ns=max(self.last_end_ns, report.end_ns),
            seen_ns=steady_ns,
            dropped_reports=max(self.dropped_reports, report.dropped_reports),
            reports=self.reports + 1,
            begin_ns=min(self.begin_ns or report.start_ns, report.start_ns),
            first_seen_ns=self.first_seen_ns or steady_ns,
            interval_ns=max(0, report.end_ns - report.start_ns),
            ended=report.last if ahead else self.ended,
            clock_ahead_ns=clock_ahead_ns,
        )
        if ahead <= 1:
            return session
        since_ns = self.last_end_ns or report.start_ns  # the reports between did not come
        return replace(
            session,
            missing_from_ns=min(self.missing_from_ns or since_ns, since_ns),
            missing_until_ns=max(self.missing_until_ns, report.start_ns),
        )
