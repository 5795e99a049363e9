"""Holds windows, totals and replicas' sessions, and knows what of them is not stored yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger.totals import OTHER, Totals, VersionKey
from headrace_monitor.domain.ledger.windows import Cell, Resolution, WindowKey, Windows
from headrace_monitor.domain.limits import DEFAULT_LIMITS, SILENT_SECONDS, Limits
from headrace_monitor.domain.replicas.replica_clocks import ReplicaClocks
from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.cardinality import UnknownMeasures, within_limits
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report, Series
from headrace_monitor.domain.telemetry.tally import Tally, add_counts

MAX_SESSIONS = 10_000
"""Sessions remembered at a time, half a kilobyte each; over it, those longest unheard of go."""

MAX_SESSIONS_OF_A_REPLICA = 100
"""So that one that ends all the time, or invents sessions, takes no other replica's place."""


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The ledger's data for the store: all of it at the start, later what changed and what was dropped."""

    cells: dict[Cell, bytes] = field(default_factory=dict)
    sessions: dict[SessionKey, ReplicaSession] = field(default_factory=dict)
    totals: dict[VersionKey, bytes] = field(default_factory=dict)
    reports: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    window_floors: dict[int, int] = field(default_factory=dict)
    """By resolution: of the windows that start before this, some are gone."""
    opened: dict[WindowKey, int] = field(default_factory=dict)
    """When the windows of the cells were opened, by the steady time."""
    steady_ns: int = 0
    """How far the steady time has come; 0 at the first start."""
    gone_windows: frozenset[WindowKey] = frozenset()
    """Windows that were dropped."""
    gone_sessions: frozenset[SessionKey] = frozenset()
    """Sessions that were not heard of for too long."""
    gone_totals: frozenset[VersionKey] = frozenset()
    """Versions that were silent for too long."""


class Ledger:
    """Merges reports, each once; whoever merges also stores `changes()` and then calls `mark_stored`."""

    def __init__(
        self,
        kept: tuple[Resolution, ...],
        limit_bytes: int,
        snapshot: LedgerSnapshot,
        moment: Moment,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self.windows = Windows(kept, limit_bytes)
        self.totals = Totals(
            {key: encoding.decode(encoded) for key, encoded in snapshot.totals.items()},
            snapshot.reports,
            dict(snapshot.dropped),
        )
        self.totals.begin(moment.steady_ns)
        self._unknown_measures = UnknownMeasures(self.totals.versions.values())
        self._clocks = ReplicaClocks()
        self.sessions = dict(sorted(snapshot.sessions.items(), key=lambda item: item[1].seen_ns))
        self._kept_ns = kept[-1].kept_seconds * NANOSECONDS
        self.windows.restore(snapshot.cells, snapshot.opened, snapshot.window_floors)
        self.windows.prune(moment)
        self.mark_stored()
        self._gone_windows |= self.windows.take_gone()

    def merge(self, report: Report, moment: Moment) -> Report | None:
        """Count a report, and give it back as it was counted; None where it was counted before.

        Its times are corrected by how far its replica's clock is off; it ends now at the latest.
        """
        key = SessionKey(report.replica, report.boot_id)
        session = self.sessions.get(key, ReplicaSession())
        if session.has(report.sequence):
            return None
        self.windows.prune(moment)  # tells them the time: the clock may have been set
        report, ahead_ns = self._clocks.corrected(report, moment)
        self._count(report, session, moment.steady_ns)
        if self.sessions.pop(key, None) is None:
            self._make_room_for(key.replica)
        # at the end, since the dict is in the order of `seen_ns`
        self.sessions[key] = session.after(report, moment.steady_ns, ahead_ns)
        self._changed_sessions.add(key)
        self._gone_sessions.discard(key)
        return report

    def changes(self, moment: Moment) -> LedgerSnapshot:
        """Drop what is too old, and give all that differs from what is stored."""
        self.windows.prune(moment)
        self._prune_sessions(moment.steady_ns)
        self._forget(self.totals.drop_silent(moment.steady_ns - self._kept_ns))
        self._gone_windows |= self.windows.take_gone()
        found = {cell: self.windows.get(cell) for cell in self._changed_cells}
        cells = {cell: encoded for cell, encoded in found.items() if encoded is not None}
        windows = {WindowKey(cell.resolution, cell.start) for cell in cells}
        versions = self.totals.versions
        return LedgerSnapshot(
            cells,
            {key: self.sessions[key] for key in self._changed_sessions if key in self.sessions},
            {key: encoding.encode(versions[key]) for key in self._changed_totals},
            self.totals.reports,
            dict(self.totals.dropped),
            self.windows.floors,
            {window: self.windows.opened(window) for window in windows},
            moment.steady_ns,
            self._gone_windows,
            frozenset(self._gone_sessions),
            frozenset(self._gone_totals),
        )

    def mark_stored(self) -> None:
        """All that `changes()` gave is stored, and nothing was merged since."""
        self._changed_cells: set[Cell] = set()
        self._changed_sessions: set[SessionKey] = set()
        self._changed_totals: set[VersionKey] = set()
        self._gone_totals: set[VersionKey] = set()
        self._gone_sessions: set[SessionKey] = set()
        self._gone_windows: frozenset[WindowKey] = frozenset()

    def _count(self, report: Report, session: ReplicaSession, steady_ns: int) -> None:
        tallies: dict[VersionKey, Tally] = {}
        for telemetry in report.versions:
            key = self._place(VersionKey(telemetry.model, telemetry.version), steady_ns)
            known = self.totals.versions.get(key) or Tally()
            tally = within_limits(telemetry.tally, known, self._limits.reasons)
            tally = self._unknown_measures.within_limit(tally)
            self.totals.add(key, tally, steady_ns)
            if key in tallies:  # of all those for which there is no room
                tallies[key] = tallies[key].plus(tally)
            else:
                tallies[key] = tally
        for key, tally in tallies.items():
            cells = self.windows.add(Series(*key, report.replica), report.end_ns, tally)
            self._changed_cells.update(cells)
            self._changed_totals.add(key)
            self._gone_totals.discard(key)
        self.totals.reports += 1
        lost = max(0, report.dropped_reports - session.dropped_reports)
        add_counts(self.totals.dropped, {report.replica: lost})

    def _place(self, key: VersionKey, steady_ns: int) -> VersionKey:
        """Choose where a version counts: as itself, or with all those for which there is no room."""
        if key in self.totals.versions or self._has_room():
            return key
        since_ns = steady_ns - SILENT_SECONDS * NANOSECONDS
        self._forget(self.totals.drop_silent(since_ns, most=1))
        return key if self._has_room() else OTHER

    def _has_room(self) -> bool:
        return len(self.totals.versions) - (OTHER in self.totals.versions) < self._limits.versions

    def _forget(self, versions: Iterable[VersionKey]) -> None:
        self._gone_totals.update(versions)
        self._changed_totals.difference_update(versions)

    def _prune_sessions(self, steady_ns: int) -> None:
        before = len(self._gone_sessions)
        while self.sessions and self._is_to_go(next(iter(self.sessions.values())), steady_ns):
            self._drop_session(next(iter(self.sessions)))
        if len(self._gone_sessions) != before:
            present = {key.replica for key in self.sessions}
            for replica in self.totals.dropped.keys() - present:
                del self.totals.dropped[replica]

    def _make_room_for(self, replica: str) -> None:
        """Drop those sessions of a replica that were silent longest, if there are too many for one more."""
        sessions = [key for key in self.sessions if key.replica == replica]
        for key in sessions[: max(0, len(sessions) + 1 - MAX_SESSIONS_OF_A_REPLICA)]:
            self._drop_session(key)

    def _drop_session(self, key: SessionKey) -> None:
        del self.sessions[key]
        self._changed_sessions.discard(key)
        self._gone_sessions.add(key)
        self._clocks.forget(*key)

    def _is_to_go(self, oldest: ReplicaSession, steady_ns: int) -> bool:
        return oldest.seen_ns < steady_ns - self._kept_ns or len(self.sessions) > MAX_SESSIONS
