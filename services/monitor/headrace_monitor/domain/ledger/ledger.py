"""Holds windows, totals and replicas' sessions, and knows what of them is not stored yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger import journal
from headrace_monitor.domain.ledger.journal import JournalEntry
from headrace_monitor.domain.ledger.totals import OTHER, Totals, VersionKey
from headrace_monitor.domain.ledger.windows import Resolution, WindowKey, Windows
from headrace_monitor.domain.limits import DEFAULT_LIMITS, SILENT_SECONDS, Limits
from headrace_monitor.domain.replicas.replica_clocks import ReplicaClocks
from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.cardinality import KnownKeys, UnknownMeasures, within_limits
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report, Series, VersionTelemetry
from headrace_monitor.domain.telemetry.tally import add_counts

MAX_SESSIONS = 10_000
"""Sessions remembered at a time, half a kilobyte each; over it, those longest unheard of go."""

_NEW_SESSION = ReplicaSession()

MAX_SESSIONS_OF_A_REPLICA = 100
"""So that one that ends all the time, or invents sessions, takes no other replica's place."""


JOURNAL_BYTES = 128 * 2**20
"""Of reports that are stored one by one, after which all that changed is stored at once: what a start reads
again, some 150,000 tallies in four seconds."""

CHECKPOINT_SECONDS = 60
"""So long after a checkpoint the next is due, if anything came."""

UNSTORED_BYTES = 32 * 2**20
"""Of reports that could not be stored: beyond it they are let go, and a checkpoint has their counts."""


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The ledger's data for the store: all of it at the start, with the reports after the last checkpoint;
    later the reports that came, or at a checkpoint what changed since the one before."""

    windows: Mapping[WindowKey, Mapping[Series, bytes]] = field(default_factory=dict)
    """Windows that changed, whole."""
    sessions: Mapping[SessionKey, ReplicaSession] = field(default_factory=dict)
    totals: Mapping[VersionKey, bytes] = field(default_factory=dict)
    reports: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    window_floors: Mapping[int, int] = field(default_factory=dict)
    """By resolution: of the windows that start before this, some are gone."""
    opened: Mapping[WindowKey, int] = field(default_factory=dict)
    """When the windows were opened, by the steady time."""
    steady_ns: int = 0
    """How far the steady time has come; 0 at the first start."""
    gone_windows: frozenset[WindowKey] = frozenset()
    """Windows that were dropped."""
    gone_sessions: frozenset[SessionKey] = frozenset()
    """Sessions that were not heard of for too long."""
    gone_totals: frozenset[VersionKey] = frozenset()
    """Versions that were silent for too long."""
    journal: Sequence[bytes] = ()
    """Reports after the last checkpoint, oldest first."""
    is_checkpoint: bool = False
    """True where everything else is given too, in place of the journal."""


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
        self.totals = Totals(snapshot.totals, snapshot.reports, snapshot.dropped)
        self.totals.begin(snapshot.steady_ns)
        self._unknown_measures = UnknownMeasures(map(encoding.values_of, snapshot.totals.values()))
        self._clocks = ReplicaClocks()
        self.sessions = dict(sorted(snapshot.sessions.items(), key=lambda item: item[1].seen_ns))
        self._kept_ns = kept[-1].kept_seconds * NANOSECONDS
        self._begin_unstored()
        self.windows.restore(snapshot.windows, snapshot.opened, snapshot.window_floors)
        for entry in snapshot.journal:
            self._count_again(journal.decode(entry))
        self.totals.begin(moment.steady_ns)
        self.windows.prune(moment)
        self._stored_bytes = sum(map(len, snapshot.journal))
        self._checkpoint_ns = moment.steady_ns

    def merge(self, report: Report, moment: Moment) -> Report | None:
        """Count a report, and give it back as it was counted; None where it was counted before.

        Its times are corrected by how far its replica's clock is off; it ends now at the latest.
        """
        session = self.sessions.get(SessionKey(report.replica, report.boot_id), _NEW_SESSION)
        if session.has(report.sequence):
            return None
        self.windows.prune(moment)  # tells them the time: the clock may have been set
        report, ahead_ns = self._clocks.corrected(report, moment)
        entry = JournalEntry(report, moment, ahead_ns)
        self._count(entry, session)
        self._keep(journal.encode(entry))
        return report

    def changes(self, moment: Moment) -> LedgerSnapshot:
        """Drop what is too old, and give what has to be stored: reports, or a checkpoint if it is due."""
        self._prune(moment)
        due_ns = self._checkpoint_ns + CHECKPOINT_SECONDS * NANOSECONDS
        is_due = moment.steady_ns >= due_ns or self._stored_bytes >= JOURNAL_BYTES
        if is_due or self._unstored_is_let_go:
            return self.checkpoint(moment)
        return LedgerSnapshot(journal=tuple(self._unstored), steady_ns=moment.steady_ns)

    def checkpoint(self, moment: Moment) -> LedgerSnapshot:
        """Drop what is too old, and give all that changed since the last checkpoint."""
        self._prune(moment)
        self._checkpoint_ns = moment.steady_ns
        windows = self.windows.changed()
        return LedgerSnapshot(
            {window: self.windows.encoded(window) for window in windows},
            {key: self.sessions[key] for key in self._changed_sessions if key in self.sessions},
            {key: self.totals.encoded(key) for key in self._changed_totals},
            self.totals.reports,
            dict(self.totals.dropped),
            self.windows.floors,
            {window: self.windows.opened(window) for window in windows},
            moment.steady_ns,
            self.windows.gone(),
            frozenset(self._gone_sessions),
            frozenset(self._gone_totals),
            is_checkpoint=True,
        )

    def mark_stored(self, stored: LedgerSnapshot) -> None:
        """All that `changes` or `checkpoint` gave is stored, and nothing was merged since."""
        if stored.is_checkpoint:
            self._begin_unstored()
            self.windows.mark_stored()
        else:
            self._stored_bytes += self._unstored_bytes
            self._let_go()

    def _let_go(self) -> None:
        self._unstored: list[bytes] = []
        self._unstored_bytes = 0

    def _begin_unstored(self) -> None:
        self._let_go()
        self._stored_bytes = 0
        self._unstored_is_let_go = False
        self._changed_sessions: set[SessionKey] = set()
        self._changed_totals: set[VersionKey] = set()
        self._gone_totals: set[VersionKey] = set()
        self._gone_sessions: set[SessionKey] = set()

    def _keep(self, entry: bytes) -> None:
        """Keep a report until it is stored; where that fails for long, a checkpoint takes its place."""
        self._unstored.append(entry)
        self._unstored_bytes += len(entry)
        if self._unstored_bytes > UNSTORED_BYTES:
            self._let_go()
            self._unstored_is_let_go = True

    def _count_again(self, entry: JournalEntry) -> None:
        key = SessionKey(entry.report.replica, entry.report.boot_id)
        session = self.sessions.get(key, _NEW_SESSION)
        if not session.has(entry.report.sequence):
            self._prune(entry.moment)
            self._count(entry, session)

    def _count(self, entry: JournalEntry, session: ReplicaSession) -> None:
        report, moment, ahead_ns = entry
        for telemetry in report.versions:
            key = self._place(VersionKey(telemetry.model, telemetry.version), moment.steady_ns)
            encoded, known = self._within_limits(key, telemetry)
            self.totals.add(key, encoded, known, moment.steady_ns)
            self.windows.add(Series(*key, report.replica), report.end_ns, encoded)
            self._changed_totals.add(key)
            self._gone_totals.discard(key)
        self.totals.reports += 1
        lost = max(0, report.dropped_reports - session.dropped_reports)
        add_counts(self.totals.dropped, {report.replica: lost})
        self._count_session(session.after(report, moment.steady_ns, ahead_ns), report)

    def _count_session(self, session: ReplicaSession, report: Report) -> None:
        key = SessionKey(report.replica, report.boot_id)
        if self.sessions.pop(key, None) is None:
            self._make_room_for(key.replica)
        # at the end, since the dict is in the order of `seen_ns`
        self.sessions[key] = session
        self._changed_sessions.add(key)
        self._gone_sessions.discard(key)

    def _within_limits(
        self, key: VersionKey, telemetry: VersionTelemetry
    ) -> tuple[bytes, KnownKeys]:
        """The tally, folded where it has too many keys, with the keys of the version's totals."""
        known = self.totals.known(key)
        values, limit = telemetry.values, self._limits.reasons
        if self._unknown_measures.takes(values) and known.take(values, limit):
            return telemetry.encoded, known
        tally = within_limits(telemetry.tally, known, limit)
        encoded = encoding.encode(self._unknown_measures.within_limit(tally))
        known.add(encoding.values_of(encoded))
        return encoded, known

    def _prune(self, moment: Moment) -> None:
        self.windows.prune(moment)
        self._prune_sessions(moment.steady_ns)
        self._forget(self.totals.drop_silent(moment.steady_ns - self._kept_ns))

    def _place(self, key: VersionKey, steady_ns: int) -> VersionKey:
        """Choose where a version counts: as itself, or with all those for which there is no room."""
        if key in self.totals or self._has_room():
            return key
        since_ns = steady_ns - SILENT_SECONDS * NANOSECONDS
        self._forget(self.totals.drop_silent(since_ns, most=1))
        return key if self._has_room() else OTHER

    def _has_room(self) -> bool:
        return len(self.totals) - (OTHER in self.totals) < self._limits.versions

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
