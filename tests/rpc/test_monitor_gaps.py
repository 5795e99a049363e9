"""What an answer does not cover, it says: lost replicas, missing reports, trimmed windows, wrong clocks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.client import resource_messages
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.tls.peers import PlainPeer
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.adapters.telemetry_sending import flush_telemetry
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.rpc.monitors import (
    MILLISECOND,
    NOW,
    SECOND,
    FakeClock,
    RunningMonitor,
    report,
    running_monitor,
    seconds,
    telemetry,
)
from tests.rpc.test_monitor_pages import samples_of

Found = tuple[str, str, str, float, float, int]

ONE = telemetry([MILLISECOND])


def found(answer: pb.QueryStatisticsResponse) -> list[Found]:
    """Give an answer's gaps: reason, replica, session, from, to (seconds from NOW), missing reports."""
    return [
        (
            pb.Gap.Reason.Name(gap.reason).removeprefix("REASON_"),
            gap.replica,
            gap.boot_id,
            (gap.start_time.ToNanoseconds() - NOW) / SECOND,
            (gap.end_time.ToNanoseconds() - NOW) / SECOND,
            gap.missing_reports,
        )
        for gap in answer.gaps
    ]


async def gauge(monitor: RunningMonitor, name: str, replica: str = "a") -> float:
    """A gauge of a replica in a scrape."""
    _, page = await monitor.get("/metrics")
    return samples_of(page)[f"headrace_monitor_replica_{name}", (("replica", replica),)]


async def test_a_session_that_told_its_last_report_is_complete(tmp_path: Path) -> None:
    """After a clean stop nothing is missing, however long ago that was."""
    clock = FakeClock()
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([report("a", 1, ONE), report("a", 2, ONE, last=True)])
        clock.pass_by(3600 * SECOND)
        answer = await monitor.query(window=seconds(7200))
        lost = await gauge(monitor, "lost_lives")
    assert ([], 0) == (found(answer), lost)


async def test_the_end_of_a_killed_replica_is_marked(tmp_path: Path) -> None:
    """A session that another followed without its last report is lost from its newest report on."""
    clock = FakeClock()
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([report("a", 1, ONE, boot_id="killed")])
        clock.pass_by(4 * SECOND)
        await monitor.send([report("a", 1, ONE, boot_id="next", end_ns=NOW + 4 * SECOND)])
        answer = await monitor.query()
        earlier = await monitor.query(end_time={"seconds": NOW // SECOND - 1})
        lost = await gauge(monitor, "lost_lives")
        clock.pass_by(SECOND)
        await monitor.send([report("a", 2, boot_id="next", end_ns=NOW + 5 * SECOND)])
    async with running_monitor(tmp_path, clock) as monitor:
        again = await monitor.query()
    expected = [("REPLICA_LOST", "a", "killed", 0.0, 3.0, 0)]
    assert (expected, [], expected) == (found(answer), found(earlier), found(again))
    assert 1 == lost


async def test_a_silent_replica_is_marked_until_it_is_back(tmp_path: Path) -> None:
    """What did not come yet may still come; after ten minutes it will not."""
    clock, gaps = FakeClock(), []
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([report("a", 1, ONE)])
        for silent_seconds in (4, 6, 600):
            clock.pass_by(NOW + silent_seconds * SECOND - clock.now_ns())
            gaps.append(found(await monitor.query(window=seconds(3600))))
        silent = await gauge(monitor, "silent")
        clock.pass_by(SECOND)
        gaps.append(found(await monitor.query(window=seconds(3600))))
        await monitor.send([report("a", 2, ONE, end_ns=NOW + SECOND)])
        gaps.append(found(await monitor.query(window=seconds(3600))))
    assert gaps == [
        [],
        [("REPLICA_SILENT", "a", "boot", 0.0, 6.0, 0)],
        [("REPLICA_SILENT", "a", "boot", 0.0, 600.0, 0)],
        [("REPLICA_LOST", "a", "boot", 0.0, 600.0, 0)],
        [],
    ]
    assert 1 == silent


async def test_reports_that_were_dropped_are_marked(tmp_path: Path) -> None:
    """Numbers that did not come are told with the time they are of, until they come after all."""
    clock = FakeClock()
    clock.pass_by(10 * SECOND)
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([report("a", 1, ONE)])
        await monitor.send([report("a", 5, ONE, end_ns=NOW + 5 * SECOND, dropped=3)])
        missing = await monitor.query()
        incomplete = await gauge(monitor, "incomplete_lives")
        late = [report("a", n, ONE, end_ns=NOW + n * SECOND, last=n == 4) for n in (2, 3, 4)]
        await monitor.send(late)
        complete = await monitor.query()
    assert [("REPORTS_MISSING", "a", "boot", 0.0, 4.0, 3)] == found(missing)[:1]
    assert 1 == incomplete
    assert [] == found(complete)


async def test_a_replica_that_flushes_is_complete_and_one_that_cannot_is_not(
    tmp_path: Path,
) -> None:
    """The sender marks its last report; where that does not arrive, the session is lost."""
    book = StatisticsRegistry()
    clean, cut = TelemetryBuffer("clean", book, 10), TelemetryBuffer("cut", book, 10)
    clock = FakeClock()
    async with running_monitor(tmp_path, clock) as monitor:
        cut.collect()
        await flush_telemetry(cut, PlainPeer(monitor.channel), 10)
        clean.collect(last=True)
        cut.collect(last=True)
        await flush_telemetry(clean, PlainPeer(monitor.channel), 10)
        clock.pass_by(1200 * SECOND)
        lost = [await gauge(monitor, "lost_lives", name) for name in ("clean", "cut")]
    assert [0, 1] == lost


async def test_trimmed_windows_are_marked(tmp_path: Path) -> None:
    """Where windows went for want of memory, or for their age, the answer says from when on it is whole."""
    clock = FakeClock()
    versions = [telemetry([MILLISECOND], version=each) for each in range(1, 301)]
    async with running_monitor(tmp_path, clock, window_memory_mb=1) as monitor:
        for number in range(1, 13):
            clock.pass_by(60 * SECOND)
            await monitor.send([report("a", number, *versions, end_ns=clock.now_ns())])
        whole = await monitor.query(window=seconds(5))
        trimmed = await monitor.query(window=seconds(719))
    async with running_monitor(tmp_path, clock, window_memory_mb=1) as monitor:
        again = await monitor.query(window=seconds(719))
        series = await monitor.stub.QuerySeries(
            pb.QuerySeriesRequest(query=pb.QueryStatisticsRequest(window=seconds(719)))
        )
    (gap,) = found(trimmed)
    assert ("TRIMMED", "", "") == gap[:3]
    counted = sum(each.success_count for each in trimmed.statistics)
    assert 300 * sum(60 * number > gap[4] for number in range(1, 13)) == counted
    assert 0 < counted < 300 * 12
    assert ([], [gap]) == (found(whole), found(again))
    marked = [bool(step.gaps) for step in series.steps]
    assert sorted(marked, reverse=True) == marked
    assert 0 < sum(marked) < len(marked)


async def test_folded_versions_are_marked(tmp_path: Path) -> None:
    """A question about one model hears that some versions are counted together."""
    async with running_monitor(tmp_path, max_versions=1) as monitor:
        await monitor.send([report("a", 1, ONE, telemetry([MILLISECOND], model="other"))])
        answers = [await monitor.query(model=model) for model in ("digits", "other", "")]
    assert [1, 0, 2] == [len(answer.statistics) for answer in answers]
    assert [[("VERSIONS_FOLDED", "", "")]] * 3 == [
        [gap[:3] for gap in found(answer)] for answer in answers
    ]


HOURS_25 = 25 * 3600 * SECOND


async def test_a_clock_that_steps_deletes_nothing(tmp_path: Path) -> None:
    """25 hours ahead and back again: every count is there, each report still counts once."""
    clock = FakeClock()
    first = report("a", 1, ONE)
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([first])
        clock.step(HOURS_25)
        await monitor.send([first, report("b", 1, ONE, end_ns=clock.now_ns())])
        ahead = await monitor.query()
        back_then = await monitor.query(end_time={"seconds": NOW // SECOND}, window=seconds(60))
    async with running_monitor(tmp_path, clock) as monitor:
        clock.step(-HOURS_25)
        await monitor.send([first, report("b", 2, ONE)])
        back = await monitor.query()
    assert [[1], [1], [2]] == [
        [each.success_count for each in answer.statistics] for answer in (ahead, back_then, back)
    ]


async def test_a_clock_that_was_ahead_for_long_keeps_nobody_out(tmp_path: Path) -> None:
    """Two days ahead, long enough for windows to go: set right, the clock's reports count at once."""
    clock = FakeClock()
    clock.step(2 * HOURS_25)
    async with running_monitor(tmp_path, clock) as monitor:
        for number in range(1, 28):
            await monitor.send([report("a", number, ONE, end_ns=clock.now_ns())])
            clock.pass_by(3600 * SECOND)
        clock.step(NOW - clock.now_ns())
        await monitor.send([report("a", 28, ONE)])
        clock.pass_by(SECOND)
        await monitor.send([report("a", 29, ONE, end_ns=NOW + SECOND)])
        answer = await monitor.query()
    assert [2] == [each.success_count for each in answer.statistics]


async def test_time_in_which_nothing_ran_makes_nothing_old(tmp_path: Path) -> None:
    """What was stored before a month of rest is there after it."""
    async with running_monitor(tmp_path, FakeClock()) as monitor:
        await monitor.send([report("a", 1, ONE)])
    later = FakeClock(NOW + 30 * 24 * 3600 * SECOND)
    async with running_monitor(tmp_path, later) as monitor:
        await monitor.send([report("b", 1, end_ns=later.now_ns())])
        answer = await monitor.query(end_time={"seconds": NOW // SECOND})
        again = await monitor.send([report("a", 1, ONE)])
        _, page = await monitor.get("/readyz")
    assert [1] == [each.success_count for each in answer.statistics]
    assert ([1], 2) == (again, json.loads(page)["reports"])


@pytest.mark.parametrize("ahead_seconds", [3600, -3600, 90_000, -90_000, 1])
async def test_a_replicas_wrong_clock_is_shown_and_corrected(
    tmp_path: Path, ahead_seconds: int
) -> None:
    """Its counts are of the time in which they happened, by the monitor's clock."""
    ahead_ns = ahead_seconds * SECOND
    async with running_monitor(tmp_path) as monitor:
        late = report("a", 1, ONE, end_ns=NOW + ahead_ns - 30 * SECOND)
        await monitor.send([late], sent_ns=NOW + ahead_ns)
        answer = await monitor.query()
        shown = await gauge(monitor, "clock_ahead_seconds")
        statistics = resource_messages.statistics_from_proto(answer)
        _, page = await monitor.get("/api/statistics?window=60")
    corrected = NOW - 30 * SECOND + (ahead_ns if ahead_seconds == 1 else 0)
    (replica,) = answer.replicas
    assert corrected == replica.last_report_time.ToNanoseconds()
    assert [1] == [each.success_count for each in answer.statistics]
    assert (ahead_ns, ahead_seconds) == (replica.clock_ahead.ToNanoseconds(), shown)
    assert ahead_seconds == statistics.replicas[0].clock_ahead_seconds
    assert ahead_seconds == json.loads(page)["replicas"][0]["clock_ahead"]


async def test_a_message_that_was_long_under_way_makes_no_clock_wrong(tmp_path: Path) -> None:
    """Of the last messages the least late one tells the clock."""
    clock = FakeClock()
    clock.pass_by(40 * SECOND)
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([report("a", 1, ONE, end_ns=NOW + 40 * SECOND)], NOW + 40 * SECOND)
        clock.pass_by(30 * SECOND)
        await monitor.send([report("a", 2, ONE, end_ns=NOW + 41 * SECOND)], NOW + 41 * SECOND)
        (replica,) = (await monitor.query()).replicas
    assert 0 == replica.clock_ahead.ToNanoseconds()
    assert NOW + 41 * SECOND == replica.last_report_time.ToNanoseconds()
