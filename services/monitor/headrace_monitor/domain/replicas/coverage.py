"""The time that reports tell of: rates are taken over it, not over time of which nothing is known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession
from headrace_monitor.domain.telemetry.report import NANOSECONDS

LEAST_SECONDS = 1.0
"""Rates are taken over at least so much: a report counts where it ends, so less would show leaps."""


class Stretch(NamedTuple):
    """A part of time, (start, end]."""

    start_ns: int
    end_ns: int


def covered(sessions: Iterable[ReplicaSession]) -> list[Stretch]:
    """Find the time of which at least one session's reports tell: stretches that do not touch, in order."""
    return joined(chain.from_iterable(map(_stretches, sessions)))


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Join those that overlap or touch, and put them in order."""
    found: list[Stretch] = []
    for stretch in sorted(each for each in stretches if each.end_ns > each.start_ns):
        if found and stretch.start_ns <= found[-1].end_ns:
            found[-1] = Stretch(found[-1].start_ns, max(found[-1].end_ns, stretch.end_ns))
        else:
            found.append(stretch)
    return found


def within(stretches: Sequence[Stretch], start_ns: int, end_ns: int) -> tuple[Stretch, ...]:
    """Cut stretches, as `covered` gives them, to (start, end]."""
    first = bisect_right(stretches, start_ns, key=lambda each: each.end_ns)
    found: list[Stretch] = []
    for stretch in stretches[first:]:
        if stretch.start_ns >= end_ns:
            break
        found.append(Stretch(max(stretch.start_ns, start_ns), min(stretch.end_ns, end_ns)))
    return tuple(found)


def rate_seconds(stretches: Iterable[Stretch], otherwise: float) -> float:
    """The time to divide counts by; `otherwise` where no time is covered."""
    covered_ns = sum(each.end_ns - each.start_ns for each in stretches)
    return max(LEAST_SECONDS, covered_ns / NANOSECONDS) if covered_ns else otherwise


def _stretches(session: ReplicaSession) -> Iterator[Stretch]:
    """Yield what a session's reports tell of: all of it but for where some are missing."""
    if not session.missing or not session.missing_until_ns:
        yield Stretch(session.begin_ns, session.last_end_ns)
        return
    yield Stretch(session.begin_ns, session.missing_from_ns)
    yield Stretch(session.missing_until_ns, session.last_end_ns)
