"""Coverage: the time that reports tell of, over which rates are taken."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from headrace.telemetry.measures import SUCCESSES
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger.ledger import Ledger, LedgerSnapshot
from headrace_monitor.domain.ledger.windows import resolutions
from headrace_monitor.domain.queries.merging import merged
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine, Statistics
from headrace_monitor.domain.replicas.coverage import Stretch, covered, within
from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report, VersionTelemetry
from headrace_monitor.domain.telemetry.tally import Tally

NOW = 1_000_000


def ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def report(
    replica: str, sequence: int, end: float, requests: int = 10, length: float = 1
) -> Report:
    versions = (VersionTelemetry.of("digits", 1, Tally({SUCCESSES: requests})),)
    return Report(replica, "boot", sequence, ns(end - length), ns(end), versions)


def ledger_of(*reports: Report) -> Ledger:
    ledger = Ledger(resolutions(24), 2**26, LedgerSnapshot(), Moment(ns(NOW), ns(NOW)))
    for each in reports:
        ledger.merge(each, Moment(ns(NOW), ns(NOW)))
    return ledger


async def answer(*reports: Report, by_replica: bool = False, end: float = NOW) -> Statistics:
    moment = Moment(ns(end), ns(end))
    return await QueryEngine(ledger_of(*reports), lambda: moment).statistics(
        Query(by_replica=by_replica)
    )


def test_what_is_missing_is_not_covered() -> None:
    """Between the reports that came, nothing is known; sessions that overlap cover the time once."""
    session = ReplicaSession()
    for sequence, end in ((1, 11), (2, 12), (7, 17), (8, 18)):
        session = session.after(report("a", sequence, end), 1)
    assert [Stretch(ns(10), ns(12)), Stretch(ns(16), ns(18))] == covered([session])
    other = ReplicaSession().after(report("b", 1, 17.5, length=6), 1)
    assert [Stretch(ns(10), ns(18))] == covered([session, other])
    assert (Stretch(ns(11), ns(12)), Stretch(ns(16), ns(17))) == within(
        covered([session]), ns(11), ns(17)
    )
    assert () == within(covered([session]), ns(13), ns(14))


async def test_rates_are_over_the_time_that_is_covered() -> None:
    """A replica that began five seconds ago is not shown slower; nor is one that is late with a report."""
    reports = [report("a", 1 + each, NOW - 10 + each) for each in range(5)]
    whole = await answer(*reports)
    assert [10.0] == [each.requests_per_second for each in whole.versions]
    assert 5.0 == whole.rate_seconds
    apart = await answer(*reports, report("b", 1, NOW - 6, 30), by_replica=True)
    assert [10.0, 30.0] == [each.requests_per_second for each in apart.versions]


async def test_nothing_covered_is_no_rate() -> None:
    """Where no report tells anything, there is nothing to divide."""
    empty = await answer()
    assert ((), (), 60.0) == (empty.versions, empty.covered, empty.rate_seconds)


async def test_answers_of_several_monitors_add_up_in_any_order() -> None:
    """Each replica reports to one: together they say what a single monitor would."""
    groups = [
        [report("a", each, NOW - 20 + each) for each in range(1, 6)],
        [report("b", each, NOW - 17 + each, 7) for each in range(1, 9)],
        [report("c", 1, NOW - 1, 3)],
    ]
    answers = [await answer(*group) for group in groups]
    alone = await answer(*(each for group in groups for each in group))
    for order in permutations(answers):
        together = merged(order)
        assert facts(alone) == facts(together)
        assert alone.covered == together.covered
        assert alone.replicas == together.replicas


def facts(statistics: Statistics) -> list[tuple[object, ...]]:
    return [
        (each.series, each.tally[SUCCESSES], pytest.approx(each.requests_per_second))
        for each in statistics.versions
    ]


async def test_what_was_trimmed_is_not_covered() -> None:
    """Rates are of what is left, and the answer says from when on that is."""
    ledger = Ledger(resolutions(24)[:1], 40_000, LedgerSnapshot(), Moment(ns(NOW), ns(NOW)))
    for second in range(1, 200):
        now = NOW + second
        ledger.merge(replace(report("a", second, now)), Moment(ns(now), ns(now)))
    moment = Moment(ns(NOW + 199), ns(NOW + 199))
    found = await QueryEngine(ledger, lambda: moment).statistics(Query(window_ns=ns(190)))
    assert ["TRIMMED"] == [gap.reason.name for gap in found.gaps]
    assert pytest.approx(10) == found.versions[0].requests_per_second
    assert found.covered[0].start_ns == found.gaps[0].end_ns
