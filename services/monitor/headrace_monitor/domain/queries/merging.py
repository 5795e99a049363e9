"""Adds answers of several monitors up: each replica reports to one of them, so nothing is counted twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain

from headrace_monitor.domain.queries.query_engine import (
    ReplicaStatistics,
    Statistics,
    VersionStatistics,
)
from headrace_monitor.domain.replicas.coverage import joined
from headrace_monitor.domain.replicas.gaps import Gap
from headrace_monitor.domain.telemetry.report import Series
from headrace_monitor.domain.telemetry.tally import Tally


def merged(answers: Sequence[Statistics]) -> Statistics:
    """One answer of all, which are to the same question, of the time that the first one has.

    In any order the counts are the same.
    """
    covered = tuple(joined(chain.from_iterable(each.covered for each in answers)))
    whole = Statistics(answers[0].time_range, (), _replicas(answers), _gaps(answers), covered)
    return whole.with_versions(_tallies(answers), _own_seconds(answers))


def _own_seconds(answers: Iterable[Statistics]) -> dict[str, float]:
    """The time that each replica's rates are over: what it told the one, and what it told the other."""
    seconds: dict[str, float] = defaultdict(float)
    for answer in answers:
        of_one = {
            each.series.replica: each.tally.request_count / each.requests_per_second
            for each in answer.versions
            if each.series.replica and each.requests_per_second
        }
        for replica, own in of_one.items():
            seconds[replica] += own
    return seconds


def _tallies(answers: Iterable[Statistics]) -> dict[Series, Tally]:
    tallies: dict[Series, Tally] = {}
    for version in _all_versions(answers):
        known = tallies.get(version.series)
        tallies[version.series] = known.plus(version.tally) if known else version.tally
    return tallies


def _all_versions(answers: Iterable[Statistics]) -> Iterable[VersionStatistics]:
    return chain.from_iterable(each.versions for each in answers)


def _replicas(answers: Iterable[Statistics]) -> tuple[ReplicaStatistics, ...]:
    """All of them; of one that went over to another monitor, what heard of it last."""
    newest: dict[str, ReplicaStatistics] = {}
    for replica in chain.from_iterable(each.replicas for each in answers):
        known = newest.get(replica.replica)
        if known is None or known.last_report_ns < replica.last_report_ns:
            newest[replica.replica] = replica
    return tuple(newest[name] for name in sorted(newest))


def _gaps(answers: Iterable[Statistics]) -> tuple[Gap, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(each.gaps for each in answers)))
