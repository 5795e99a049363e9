"""Everything the monitor knows: windows, totals and replicas' lives, and what of it is not stored yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from headrace_monitor.domain import packing
from headrace_monitor.domain.folding import folded
from headrace_monitor.domain.limits import DEFAULT_LIMITS, SILENT_SECONDS, Limits
from headrace_monitor.domain.lives import Life, LifeKey
from headrace_monitor.domain.telemetry import NANOSECONDS, Report, Series, Tally, add_counts
from headrace_monitor.domain.totals import OTHER, Totals, VersionKey
from headrace_monitor.domain.windows import Cell, Resolution, Windows

MAX_LIVES = 10_000
"""Lives remembered at a time, half a kilobyte each; over it, those longest unheard of go."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is stored: all of it at the start, later what changed and below what everything is dropped."""

    cells: dict[Cell, bytes] = field(default_factory=dict)
    lives: dict[LifeKey, Life] = field(default_factory=dict)
    totals: dict[VersionKey, bytes] = field(default_factory=dict)
    reports: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    window_floors: dict[int, int] = field(default_factory=dict)
    """By resolution: windows that start before this are gone."""
    lives_floor_ns: int = 0
    """Lives not heard of since are gone."""
    gone_totals: frozenset[VersionKey] = frozenset()
    """Versions that were silent for too long."""


class Ledger:
    """Merges reports, each once; whoever merges also stores `changes()` and then calls `mark_stored`."""

    def __init__(
        self,
        kept: tuple[Resolution, ...],
        limit_bytes: int,
        contents: Contents,
        now_ns: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self.windows = Windows(kept, limit_bytes)
        self.totals = Totals(
            {key: packing.unpack(packed) for key, packed in contents.totals.items()},
            contents.reports,
            dict(contents.dropped),
        )
        self.totals.begin(now_ns)
        self.lives = dict(sorted(contents.lives.items(), key=lambda item: item[1].seen_ns))
        self._kept_ns = kept[-1].kept_seconds * NANOSECONDS
        self._lives_floor_ns = 0
        self._restore_windows(contents, now_ns)
        self.mark_stored()

    def merge(self, report: Report, now_ns: int) -> None:
        """Count a report, unless it was counted before.

        One that ends in the future, by a clock that is ahead, counts as ending now.
        """
        key = LifeKey(report.replica, report.boot_id)
        life = self.lives.get(key, Life())
        if life.has(report.sequence):
            return
        report = replace(report, end_ns=min(report.end_ns, now_ns))
        self._count(report, life, now_ns)
        self.lives.pop(key, None)  # to the end: the dict is in the order of `seen_ns`
        self.lives[key] = life.after(report, now_ns)
        self._changed_lives.add(key)

    def changes(self, now_ns: int) -> Contents:
        """Drop what is too old, and give all that differs from what is stored."""
        self.windows.prune(now_ns)
        self._prune_lives(now_ns)
        self._forget(self.totals.drop_silent(now_ns - self._kept_ns))
        cells = {cell: self.windows.get(cell) for cell in self._changed_cells}
        versions = self.totals.versions
        return Contents(
            {cell: packed for cell, packed in cells.items() if packed is not None},
            {key: self.lives[key] for key in self._changed_lives if key in self.lives},
            {key: packing.pack(versions[key]) for key in self._changed_totals},
            self.totals.reports,
            dict(self.totals.dropped),
            self.windows.floors,
            self._lives_floor_ns,
            frozenset(self._gone_totals),
        )

    def mark_stored(self) -> None:
        """All that `changes()` gave is stored, and nothing was merged since."""
        self._changed_cells: set[Cell] = set()
        self._changed_lives: set[LifeKey] = set()
        self._changed_totals: set[VersionKey] = set()
        self._gone_totals: set[VersionKey] = set()

    def _count(self, report: Report, life: Life, now_ns: int) -> None:
        tallies: dict[VersionKey, Tally] = {}
        for telemetry in report.versions:
            key = self._place(VersionKey(telemetry.model, telemetry.version), now_ns)
            known = self.totals.versions.get(key) or Tally()
            tally = folded(telemetry.tally, known, self._limits.reasons)
            self.totals.add(key, tally, now_ns)
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

    def _place(self, key: VersionKey, now_ns: int) -> VersionKey:
        """Where a version counts: as itself, or with all those for which there is no room."""
        if key in self.totals.versions or self._has_room():
            return key
        since_ns = now_ns - SILENT_SECONDS * NANOSECONDS
        self._forget(self.totals.drop_silent(since_ns, most=1))
        return key if self._has_room() else OTHER

    def _has_room(self) -> bool:
        return len(self.totals.versions) - (OTHER in self.totals.versions) < self._limits.versions

    def _forget(self, versions: Iterable[VersionKey]) -> None:
        self._gone_totals.update(versions)
        self._changed_totals.difference_update(versions)

    def _prune_lives(self, now_ns: int) -> None:
        before = self._lives_floor_ns
        while self.lives and self._is_to_go(next(iter(self.lives.values())), now_ns):
            gone = self.lives.pop(next(iter(self.lives)))
            self._lives_floor_ns = gone.seen_ns + 1
        if self._lives_floor_ns != before:
            present = {key.replica for key in self.lives}
            for replica in self.totals.dropped.keys() - present:
                del self.totals.dropped[replica]

    def _is_to_go(self, oldest: Life, now_ns: int) -> bool:
        return oldest.seen_ns < now_ns - self._kept_ns or len(self.lives) > MAX_LIVES

    def _restore_windows(self, contents: Contents, now_ns: int) -> None:
        self.windows.prune(now_ns)
        floors = self.windows.floors
        for cell in sorted(contents.cells, key=lambda cell: cell.start):
            if cell.start >= floors.get(cell.resolution, cell.start + 1):
                self.windows.put(cell, contents.cells[cell])
