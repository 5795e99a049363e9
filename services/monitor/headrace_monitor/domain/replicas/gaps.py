"""Finds the gaps of an answer: pure decisions over replicas' sessions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.limits import SILENT_SECONDS
from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry.report import NANOSECONDS

LATE_INTERVALS = 3
LATE_NS = 2 * NANOSECONDS
"""A replica is silent when no report came for three of its intervals and two seconds."""

GIVEN_UP_NS = SILENT_SECONDS * NANOSECONDS
"""As long as replicas keep what they could not send: after it, nothing more will come."""


class Reason(Enum):
    """The reasons that counts are not complete."""

    TRIMMED = "trimmed"
    REPLICA_LOST = "replica lost"
    REPLICA_SILENT = "replica silent"
    REPORTS_MISSING = "reports missing"
    VERSIONS_FOLDED = "versions folded"
    MONITOR_AWAY = "monitor away"


@dataclass(frozen=True, slots=True)
class Gap:
    """Counts of (start, end] are not complete: those of a session of a replica, or ('') of all of them."""

    reason: Reason
    start_ns: int
    end_ns: int
    replica: str = ""
    boot_id: str = ""
    missing_reports: int = 0
    monitor: str = ""
    """The monitor that did not answer."""

    def belongs_to(self, start_ns: int, end_ns: int) -> bool:
        """True where it overlaps with this time range."""
        return self.start_ns < end_ns and self.end_ns > start_ns


def gaps_of_sessions(
    sessions: Mapping[SessionKey, ReplicaSession], moment: Moment
) -> Iterator[Gap]:
    """Yield the gaps of all replicas, as of now."""
    by_replica: dict[str, list[tuple[SessionKey, ReplicaSession]]] = {}
    for key, session in sessions.items():
        by_replica.setdefault(key.replica, []).append((key, session))
    for of_replica in by_replica.values():
        begins = _Begins([session for _, session in of_replica])
        for key, session in of_replica:
            yield from _missing(key, session)
            yield from _end(key, session, begins.after(session), moment)


class _Begins:
    """Finds the session that followed another one of the same replica, without a look at all of them."""

    def __init__(self, sessions: Sequence[ReplicaSession]) -> None:
        ordered = sorted(sessions, key=lambda session: session.first_seen_ns)
        self._seen_ns = [session.first_seen_ns for session in ordered]
        from_the_end = accumulate((session.begin_ns for session in reversed(ordered)), min)
        self._begin_ns = list(from_the_end)[::-1]

    def after(self, session: ReplicaSession) -> int | None:
        """Give when the first session began that was heard of after this one's end, if there is one."""
        place = bisect_right(self._seen_ns, session.seen_ns)
        return self._begin_ns[place] if place < len(self._begin_ns) else None


def _missing(key: SessionKey, session: ReplicaSession) -> Iterator[Gap]:
    if session.missing and session.missing_until_ns:
        times = session.missing_from_ns, max(session.missing_until_ns, session.missing_from_ns + 1)
        yield Gap(Reason.REPORTS_MISSING, *times, *key, session.missing)


def _end(
    key: SessionKey, session: ReplicaSession, next_ns: int | None, moment: Moment
) -> Iterator[Gap]:
    if session.ended:
        return
    silent_ns = moment.steady_ns - session.seen_ns
    if next_ns is not None:
        end_ns = max(next_ns, session.last_end_ns + max(session.interval_ns, 1))
        yield Gap(Reason.REPLICA_LOST, session.last_end_ns, end_ns, *key)
    elif silent_ns > GIVEN_UP_NS:
        end_ns = session.last_end_ns + GIVEN_UP_NS
        yield Gap(Reason.REPLICA_LOST, session.last_end_ns, end_ns, *key)
    elif silent_ns > LATE_INTERVALS * session.interval_ns + LATE_NS:
        end_ns = max(moment.now_ns, session.last_end_ns + 1)
        yield Gap(Reason.REPLICA_SILENT, session.last_end_ns, end_ns, *key)
