"""Everything the monitor knows: windows, totals and replicas' lives, and what of it is not stored yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from headrace_monitor.domain import encoding
from headrace_monitor.domain.cardinality import folded
from headrace_monitor.domain.limits import DEFAULT_LIMITS, SILENT_SECONDS, Limits
from headrace_monitor.domain.moments import Moment
from headrace_monitor.domain.replica_clocks import ReplicaClocks
from headrace_monitor.domain.replica_sessions import LifeKey, ReplicaSession
from headrace_monitor.domain.telemetry import NANOSECONDS, Report, Series, Tally, add_counts
from headrace_monitor.domain.totals import OTHER, Totals, VersionKey
from headrace_monitor.domain.windows import Cell, Resolution, WindowKey, Windows

MAX_LIVES = 10_000
"""Lives remembered at a time, half a kilobyte each; over it, those longest unheard of go."""

MAX_LIVES_OF_A_REPLICA = 100
"""So that one that ends all the time, or invents lives, takes no other replica's place."""


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """What is stored: all of it at the start, later what changed and below what everything is dropped."""

    cells: dict[Cell, bytes] = field(default_factory=dict)
    lives: dict[LifeKey, ReplicaSession] = field(default_factory=dict)
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
    gone_lives: frozenset[LifeKey] = frozenset()
    """Lives that were not heard of for too long."""
    gone_totals: frozenset[VersionKey] = frozenset()
    """Versions that were silent for too long."""


class Ledger:
    """Merges reports, each once; whoever merges also stores `changes()` and then calls `mark_stored`."""

    def __init__(
        self,
        kept: tuple[Resolution, ...],
        limit_bytes: int,
        contents: LedgerSnapshot,
        moment: Moment,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self.windows = Windows(kept, limit_bytes)
        self.totals = Totals(
            {key: encoding.unpack(packed) for key, packed in contents.totals.items()},
            contents.reports,
            dict(contents.dropped),
        )
        self.totals.begin(moment.steady_ns)
        self._clocks = ReplicaClocks()
        self.lives = dict(sorted(contents.lives.items(), key=lambda item: item[1].seen_ns))
        self._kept_ns = kept[-1].kept_seconds * NANOSECONDS
        self.windows.restore(contents.cells, contents.opened, contents.window_floors)
        self.windows.prune(moment)
        self.mark_stored()
        self._gone_windows |= self.windows.take_gone()

    def merge(self, report: Report, moment: Moment) -> None:
        """Count a report, unless it was counted before.

        Its times are corrected by how far its replica's clock is off; it ends now at the latest.
        """
        key = LifeKey(report.replica, report.boot_id)
        life = self.lives.get(key, ReplicaSession())
        if life.has(report.sequence):
            return
        self.windows.prune(moment)  # tells them the time: the clock may have been set
        report, ahead_ns = self._clocks.corrected(report, moment)
        self._count(report, life, moment.steady_ns)
        if self.lives.pop(key, None) is None:
            self._make_room_for(key.replica)
        # at the end, since the dict is in the order of `seen_ns`
        self.lives[key] = life.after(report, moment.steady_ns, ahead_ns)
        self._changed_lives.add(key)
        self._gone_lives.discard(key)

    def changes(self, moment: Moment) -> LedgerSnapshot:
        """Drop what is too old, and give all that differs from what is stored."""
        self.windows.prune(moment)
        self._prune_lives(moment.steady_ns)
        self._forget(self.totals.drop_silent(moment.steady_ns - self._kept_ns))
        self._gone_windows |= self.windows.take_gone()
        found = {cell: self.windows.get(cell) for cell in self._changed_cells}
        cells = {cell: packed for cell, packed in found.items() if packed is not None}
        windows = {WindowKey(cell.resolution, cell.start) for cell in cells}
        versions = self.totals.versions
        return LedgerSnapshot(
            cells,
            {key: self.lives[key] for key in self._changed_lives if key in self.lives},
            {key: encoding.pack(versions[key]) for key in self._changed_totals},
            self.totals.reports,
            dict(self.totals.dropped),
            self.windows.floors,
            {window: self.windows.opened(window) for window in windows},
            moment.steady_ns,
            self._gone_windows,
            frozenset(self._gone_lives),
            frozenset(self._gone_totals),
        )

    def mark_stored(self) -> None:
        """All that `changes()` gave is stored, and nothing was merged since."""
        self._changed_cells: set[Cell] = set()
        self._changed_lives: set[LifeKey] = set()
        self._changed_totals: set[VersionKey] = set()
        self._gone_totals: set[VersionKey] = set()
        self._gone_lives: set[LifeKey] = set()
        self._gone_windows: frozenset[WindowKey] = frozenset()

    def _count(self, report: Report, life: ReplicaSession, steady_ns: int) -> None:
        tallies: dict[VersionKey, Tally] = {}
        for telemetry in report.versions:
            key = self._place(VersionKey(telemetry.model, telemetry.version), steady_ns)
            known = self.totals.versions.get(key) or Tally()
            tally = folded(telemetry.tally, known, self._limits.reasons)
            self.totals.add(key, tally, steady_ns)
            if key in tallies:  # of all those for which there is no room
                tallies[key].add(tally)
            else:
                tallies[key] = tally
        for key, tally in tallies.items():
            cells = self.windows.add(Series(*key, report.replica), report.end_ns, tally)
            self._changed_cells.update(cells)
            self._changed_totals.add(key)
            self._gone_totals.discard(key)
        self.totals.reports += 1
        lost = max(0, report.dropped_reports - life.dropped_reports)
        add_counts(self.totals.dropped, {report.replica: lost})

    def _place(self, key: VersionKey, steady_ns: int) -> VersionKey:
        """Where a version counts: as itself, or with all those for which there is no room."""
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

    def _prune_lives(self, steady_ns: int) -> None:
        before = len(self._gone_lives)
        while self.lives and self._is_to_go(next(iter(self.lives.values())), steady_ns):
            self._drop_life(next(iter(self.lives)))
        if len(self._gone_lives) != before:
            present = {key.replica for key in self.lives}
            for replica in self.totals.dropped.keys() - present:
                del self.totals.dropped[replica]

    def _make_room_for(self, replica: str) -> None:
        """Drop those lives of a replica that were silent longest, if there are too many for one more."""
        lives = [key for key in self.lives if key.replica == replica]
        for key in lives[: max(0, len(lives) + 1 - MAX_LIVES_OF_A_REPLICA)]:
            self._drop_life(key)

    def _drop_life(self, key: LifeKey) -> None:
        del self.lives[key]
        self._changed_lives.discard(key)
        self._gone_lives.add(key)
        self._clocks.forget(*key)

    def _is_to_go(self, oldest: ReplicaSession, steady_ns: int) -> bool:
        return oldest.seen_ns < steady_ns - self._kept_ns or len(self.lives) > MAX_LIVES
