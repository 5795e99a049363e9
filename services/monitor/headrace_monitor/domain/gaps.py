"""What an answer does not cover: pure decisions over what is known of replicas' lives and of windows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from headrace_monitor.domain.limits import SILENT_SECONDS
from headrace_monitor.domain.moments import Moment
from headrace_monitor.domain.replica_sessions import LifeKey, ReplicaSession
from headrace_monitor.domain.telemetry import NANOSECONDS

LATE_INTERVALS = 3
LATE_NS = 2 * NANOSECONDS
"""A replica is silent when no report came for three of its intervals and two seconds."""

GIVEN_UP_NS = SILENT_SECONDS * NANOSECONDS
"""As long as replicas keep what they could not send: after it, nothing more will come."""


class Reason(Enum):
    """Why counts are not complete."""

    TRIMMED = "trimmed"
    REPLICA_LOST = "replica lost"
    REPLICA_SILENT = "replica silent"
    REPORTS_MISSING = "reports missing"
    VERSIONS_FOLDED = "versions folded"


@dataclass(frozen=True, slots=True)
class Gap:
    """Counts of (start, end] are not complete: those of a life of a replica, or ('') of all of them."""

    reason: Reason
    start_ns: int
    end_ns: int
    replica: str = ""
    boot_id: str = ""
    missing_reports: int = 0

    def belongs_to(self, start_ns: int, end_ns: int) -> bool:
        """Whether it takes something from this stretch of time."""
        return self.start_ns < end_ns and self.end_ns > start_ns


def gaps_of_lives(lives: Mapping[LifeKey, ReplicaSession], moment: Moment) -> Iterator[Gap]:
    """What is not known of the replicas, as of now."""
    by_replica: dict[str, list[tuple[LifeKey, ReplicaSession]]] = {}
    for key, life in lives.items():
        by_replica.setdefault(key.replica, []).append((key, life))
    for of_replica in by_replica.values():
        begins = _Begins([life for _, life in of_replica])
        for key, life in of_replica:
            yield from _missing(key, life)
            yield from _end(key, life, begins.after(life), moment)


class _Begins:
    """When the lives of a replica began, so that the next of each is found without asking all."""

    def __init__(self, lives: Sequence[ReplicaSession]) -> None:
        ordered = sorted(lives, key=lambda life: life.first_seen_ns)
        self._seen_ns = [life.first_seen_ns for life in ordered]
        from_the_end = accumulate((life.begin_ns for life in reversed(ordered)), min)
        self._begin_ns = list(from_the_end)[::-1]

    def after(self, life: ReplicaSession) -> int | None:
        """When the first of those began that were heard of after this one's end, if there are any."""
        place = bisect_right(self._seen_ns, life.seen_ns)
        return self._begin_ns[place] if place < len(self._begin_ns) else None


def _missing(key: LifeKey, life: ReplicaSession) -> Iterator[Gap]:
    if life.missing and life.missing_until_ns:
        times = life.missing_from_ns, max(life.missing_until_ns, life.missing_from_ns + 1)
        yield Gap(Reason.REPORTS_MISSING, *times, *key, life.missing)


def _end(key: LifeKey, life: ReplicaSession, next_ns: int | None, moment: Moment) -> Iterator[Gap]:
    if life.ended:
        return
    silent_ns = moment.steady_ns - life.seen_ns
    if next_ns is not None:
        end_ns = max(next_ns, life.last_end_ns + max(life.interval_ns, 1))
        yield Gap(Reason.REPLICA_LOST, life.last_end_ns, end_ns, *key)
    elif silent_ns > GIVEN_UP_NS:
        end_ns = life.last_end_ns + GIVEN_UP_NS
        yield Gap(Reason.REPLICA_LOST, life.last_end_ns, end_ns, *key)
    elif silent_ns > LATE_INTERVALS * life.interval_ns + LATE_NS:
        end_ns = max(moment.now_ns, life.last_end_ns + 1)
        yield Gap(Reason.REPLICA_SILENT, life.last_end_ns, end_ns, *key)
