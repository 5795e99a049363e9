"""The monitor over gRPC: reports in, once each; answers out, for every kind of question."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import duration_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from tests.rpc.monitors import (
    MILLISECOND,
    NOW,
    SECOND,
    FakeClock,
    report,
    running_monitor,
    seconds,
    telemetry,
    timestamp,
)

RELATIVE_ERROR = 0.022


def in_milliseconds(duration: duration_pb2.Duration) -> float:
    return (duration.seconds * SECOND + duration.nanos) / MILLISECOND


async def test_reports_of_three_replicas_merge_exactly(tmp_path: Path) -> None:
    """Counts add up and quantiles are those of all requests, not an average over replicas."""
    random = np.random.default_rng(7)
    durations = {
        replica: (random.lognormal(0, 0.5, 4000) * scale * MILLISECOND).astype(int).tolist()
        for replica, scale in (("a", 1), ("b", 2), ("c", 40))
    }
    async with running_monitor(tmp_path) as monitor:
        acknowledged = await asyncio.gather(
            monitor.send(
                report(replica, number, telemetry(durations[replica][number - 1 :: 4], failed=1))
                for number in (1, 2, 3, 4)
                for replica in ("a", "b")
            ),
            monitor.send([report("c", 9, telemetry(durations["c"]))]),
        )
        answer = await monitor.query()
    everything = np.concatenate(list(durations.values()))
    (statistics,) = answer.statistics
    assert [[1, 1, 2, 2, 3, 3, 4, 4], [9]] == list(acknowledged)
    assert ("digits", 1, "") == (statistics.model, statistics.version, statistics.replica)
    assert (12_000, 8, {"QUEUE_FULL": 8}) == (
        statistics.success_count,
        statistics.error_count,
        dict(statistics.error_counts),
    )
    assert ({"stable": 12_000}, {1: 12_000}) == (
        dict(statistics.route_counts),
        dict(statistics.batch_counts),
    )
    assert (
        pytest.approx(12_008) == statistics.requests_per_second
    )  # of the second that they tell of
    assert (1, 1) == (answer.covered_time.seconds, len(answer.covered))
    assert (12_000, everything.sum()) == (
        statistics.total.count,
        statistics.total.histogram.sum_ns,
    )
    for field, quantile in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)):
        exact = np.quantile(everything, quantile, method="inverted_cdf") / MILLISECOND
        found = in_milliseconds(getattr(statistics.total, field))
        assert found == pytest.approx(exact, rel=RELATIVE_ERROR)
    assert ["a", "b", "c"] == [replica.replica for replica in answer.replicas]


async def test_by_replica_tells_replicas_apart(tmp_path: Path) -> None:
    """Asked for by replica, each version on each replica has an entry."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send(
            [
                report("a", 1, telemetry([MILLISECOND]), dropped=2),
                report("b", 1, telemetry([MILLISECOND] * 2), telemetry([5], model="x", version=3)),
            ]
        )
        answer = await monitor.query(by_replica=True)
        only_x = await monitor.query(model="x", version=3)
    found = [
        (each.model, each.version, each.replica, each.success_count) for each in answer.statistics
    ]
    assert [("digits", 1, "a", 1), ("digits", 1, "b", 2), ("x", 3, "b", 1)] == found
    assert [("x", 1)] == [(each.model, each.success_count) for each in only_x.statistics]
    assert [("a", 2), ("b", 0)] == [
        (replica.replica, replica.dropped_reports) for replica in answer.replicas
    ]


async def test_a_report_sent_again_counts_once(tmp_path: Path) -> None:
    """A resent report is acknowledged again and merged no second time."""
    first = report("a", 1, telemetry([MILLISECOND] * 3))
    async with running_monitor(tmp_path) as monitor:
        assert [1, 1] == await monitor.send([first, first])
        assert [1] == await monitor.send([first])
        answer = await monitor.query()
    assert [3] == [each.success_count for each in answer.statistics]


async def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    """After a restart the answers are the same, and what was merged is still merged only once."""
    reports = [report("a", number, telemetry([MILLISECOND], failed=1)) for number in range(1, 20)]
    async with running_monitor(tmp_path) as monitor:
        await monitor.send(reports)
        before = await monitor.query()
    async with running_monitor(tmp_path) as monitor:
        assert before == await monitor.query()
        await monitor.send(reports)
        assert before == await monitor.query()
        await monitor.send([report("a", 20, telemetry([MILLISECOND]))])
        after = await monitor.query()
    assert [20] == [each.success_count for each in after.statistics]


async def test_a_window_in_the_past_is_answered(tmp_path: Path) -> None:
    """A question about the past finds what a late report told of it, and nothing of the present."""
    long_ago = NOW - 3600 * SECOND
    async with running_monitor(tmp_path) as monitor:
        await monitor.send(
            [
                report("a", 1, telemetry([MILLISECOND]), end_ns=long_ago),
                report("b", 1, telemetry([MILLISECOND] * 5)),
            ]
        )
        answer = await monitor.query(window=seconds(60), end_time=timestamp(long_ago))
    assert [1] == [each.success_count for each in answer.statistics]
    assert ["a"] == [replica.replica for replica in answer.replicas]
    assert timestamp(long_ago - 60 * SECOND) == answer.start_time
    assert timestamp(long_ago) == answer.end_time


async def test_a_series_shows_when_things_happened(tmp_path: Path) -> None:
    """Steps follow one another; one in which nothing happened has no statistics."""
    async with running_monitor(tmp_path) as monitor:
        for number, ago in enumerate((1, 1, 25, 59), start=1):
            await monitor.send(
                [report("a", number, telemetry([MILLISECOND]), end_ns=NOW - ago * SECOND)]
            )
        query = pb.QueryStatisticsRequest(window=seconds(60))
        answer = await monitor.stub.QuerySeries(
            pb.QuerySeriesRequest(query=query, step=seconds(10))
        )
    counts = [[each.success_count for each in step.statistics] for step in answer.steps]
    assert [[1], [], [], [1], [], [2]] == counts
    assert timestamp(NOW - 60 * SECOND) == answer.steps[0].start_time
    assert timestamp(NOW) == answer.steps[-1].end_time


async def test_a_watch_shows_what_comes_and_ends_when_the_service_stops(tmp_path: Path) -> None:
    """A watch answers at once, again after each interval, and ends well at a stop."""
    async with running_monitor(tmp_path) as monitor:
        watch = monitor.stub.WatchStatistics(pb.WatchStatisticsRequest(interval=seconds(0.1)))
        answers = aiter(watch)
        assert [] == list((await anext(answers)).statistics)
        await monitor.send([report("a", 1, telemetry([MILLISECOND]))])
        async for answer in answers:
            if answer.statistics:
                break
        assert [1] == [each.success_count for each in answer.statistics]
        monitor.stopping.set()
        rest = [each async for each in answers]
        assert len(rest) <= 1
        assert grpc.StatusCode.OK == await watch.code()


async def test_a_stream_of_reports_ends_when_the_service_stops(tmp_path: Path) -> None:
    """A replica that would go on for ever does not hold the monitor's stop; all acknowledged is kept."""
    async with running_monitor(tmp_path) as monitor:
        stream = monitor.stub.ReportTelemetry()
        await stream.write(
            pb.ReportTelemetryRequest(report=report("a", 1, telemetry([MILLISECOND])))
        )
        assert 1 == (await stream.read()).sequence
        monitor.stopping.set()
        assert grpc.aio.EOF == await stream.read()
        assert grpc.StatusCode.OK == await stream.code()


async def test_a_watcher_that_goes_leaves_the_service_well(tmp_path: Path) -> None:
    """A cancelled watch is over, and others are answered."""
    async with running_monitor(tmp_path) as monitor:
        watch = monitor.stub.WatchStatistics(pb.WatchStatisticsRequest(interval=seconds(0.1)))
        await anext(aiter(watch))
        watch.cancel()
        assert [] == list((await monitor.query()).statistics)


async def test_times_that_no_calendar_has_are_taken_for_what_they_are(tmp_path: Path) -> None:
    """An end far in the future counts as now instead of breaking the service."""
    odd = report("a", 1, telemetry([MILLISECOND]))
    odd.end_time.seconds = 2**62
    async with running_monitor(tmp_path) as monitor:
        assert [1] == await monitor.send([odd])
        assert [1] == [each.success_count for each in (await monitor.query()).statistics]


async def test_what_replicas_really_send_is_taken(tmp_path: Path) -> None:
    """Errors of requests for no known model, and an interval that a clock set back, are counted."""
    lost = telemetry_pb2.VersionTelemetry(model="", error_counts={"MODEL_NOT_FOUND": 2})
    sent = report("a", 1, lost)
    sent.start_time.seconds += 100
    async with running_monitor(tmp_path) as monitor:
        assert [1] == await monitor.send([sent])
        answer = await monitor.query()
    assert [("", 0, 2)] == [
        (each.model, each.version, each.error_count) for each in answer.statistics
    ]


async def test_the_memory_of_windows_is_bounded(tmp_path: Path) -> None:
    """With many series the oldest windows go; the newest are still right."""
    clock = FakeClock()
    async with running_monitor(tmp_path, clock, window_memory_mb=1) as monitor:
        for number in range(1, 41):
            clock.pass_by(10 * SECOND)
            versions = [telemetry([number], version=each) for each in range(1, 101)]
            await monitor.send([report("a", number, *versions, end_ns=clock.now_ns())])
        _, page = await monitor.get("/readyz")
        answer = await monitor.query(window=seconds(5))
    assert 2**19 < json.loads(page)["window_bytes"] <= 2**20
    assert 100 == len(answer.statistics)


async def test_health_says_serving(tmp_path: Path) -> None:
    """grpc.health.v1 answers for the service by its name."""
    async with running_monitor(tmp_path) as monitor:
        stub: Any = health_pb2_grpc.HealthStub(monitor.channel)
        name = "headrace.monitor.v1.MonitorService"
        response = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    assert health_pb2.HealthCheckResponse.SERVING == response.status
