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

from headrace import errors, status
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from tests.rpc.monitors import (
    MILLISECOND,
    NOW,
    SECOND,
    FakeClock,
    report,
    running_monitor,
    telemetry,
    timestamp,
)

RELATIVE_ERROR = 0.022


def seconds(count: float) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=int(count), nanos=round(count % 1 * SECOND))


def in_milliseconds(duration: duration_pb2.Duration) -> float:
    return (duration.seconds * SECOND + duration.nanos) / MILLISECOND


async def refusal(call: Any) -> errors.HeadraceError:
    """The error that a unary or streaming call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_last(call) if hasattr(call, "__aiter__") else call)
    return status.error_from_rpc(caught.value)


async def _last(call: Any) -> Any:
    return [response async for response in call][-1]


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
    assert pytest.approx(12_008 / 60) == statistics.requests_per_second
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


DAY = 86_400
BAD_QUERIES: list[tuple[dict[str, Any], str]] = [
    ({"window": seconds(-1)}, "window"),
    ({"window": seconds(0)}, "window"),
    ({"window": seconds(DAY + 1)}, "window"),
    ({"window": duration_pb2.Duration(seconds=2**62)}, "window"),
    ({"version": -1}, "version"),
    ({"end_time": timestamp(-SECOND)}, "end_time"),
]


@pytest.mark.parametrize(("fields", "field"), BAD_QUERIES)
async def test_a_bad_query_names_its_field(
    tmp_path: Path, fields: dict[str, Any], field: str
) -> None:
    """INVALID_ARGUMENT says which field is wrong and what is allowed."""
    async with running_monitor(tmp_path) as monitor:
        error = await refusal(monitor.query(**fields))
    assert isinstance(error, errors.InvalidArgument)
    assert ("INVALID_QUERY", [field]) == (error.reason, [each.field for each in error.violations])


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("QuerySeries", pb.QuerySeriesRequest(step=seconds(61)), "step"),
        ("QuerySeries", pb.QuerySeriesRequest(step=seconds(0.5)), "step"),
        (
            "QuerySeries",
            pb.QuerySeriesRequest(query=pb.QueryStatisticsRequest(by_replica=True)),
            "query.by_replica",
        ),
        ("WatchStatistics", pb.WatchStatisticsRequest(interval=seconds(0.01)), "interval"),
        ("WatchStatistics", pb.WatchStatisticsRequest(interval=seconds(3601)), "interval"),
        (
            "WatchStatistics",
            pb.WatchStatisticsRequest(query=pb.QueryStatisticsRequest(end_time=timestamp(NOW))),
            "query.end_time",
        ),
        (
            "WatchStatistics",
            pb.WatchStatisticsRequest(query=pb.QueryStatisticsRequest(window=seconds(DAY * 2))),
            "window",
        ),
    ],
)
async def test_a_bad_series_or_watch_names_its_field(
    tmp_path: Path, method: str, request_: Any, field: str
) -> None:
    """INVALID_ARGUMENT for what only a series or a watch can have wrong."""
    async with running_monitor(tmp_path) as monitor:
        error = await refusal(getattr(monitor.stub, method)(request_))
    assert ("INVALID_QUERY", [field]) == (error.reason, [each.field for each in error.violations])


def wrong(**fields: Any) -> telemetry_pb2.TelemetryReport:
    """A report with some fields replaced."""
    proto = report("a", 1, telemetry([MILLISECOND]))
    for field, value in fields.items():
        proto.ClearField(field)
        proto.MergeFrom(telemetry_pb2.TelemetryReport(**{field: value}))
    return proto


def version(**fields: Any) -> telemetry_pb2.VersionTelemetry:
    known: dict[str, Any] = {"model": "digits", "version": 1}
    return telemetry_pb2.VersionTelemetry(**(known | fields))


@pytest.mark.parametrize(
    ("bad", "fields"),
    [
        (
            telemetry_pb2.TelemetryReport(),
            ["replica", "boot_id", "sequence", "start_time", "end_time"],
        ),
        (wrong(sequence=-1), ["sequence"]),
        (wrong(replica="r" * 129), ["replica"]),
        (wrong(end_time=timestamp(NOW - 5 * SECOND)), ["end_time"]),
        (wrong(dropped_reports=-1), ["dropped_reports"]),
        (wrong(versions=[version(model="")]), ["versions[0].model"]),
        (wrong(versions=[version(), version(success_count=-4)]), ["versions[1].success_count"]),
        (wrong(versions=[version(error_counts={"X": -1})]), ["versions[0].error_counts"]),
        (wrong(versions=[version(batch_counts={1: 2**62})]), ["versions[0].batch_counts"]),
        (
            wrong(versions=[version(total=telemetry_pb2.Histogram(counts={3: -1}, sum_ns=-1))]),
            ["versions[0].total.counts", "versions[0].total.sum_ns"],
        ),
    ],
)
async def test_a_bad_report_names_every_wrong_field(
    tmp_path: Path, bad: telemetry_pb2.TelemetryReport, fields: list[str]
) -> None:
    """INVALID_ARGUMENT lists what is wrong with a report, and nothing of it is counted."""
    async with running_monitor(tmp_path) as monitor:
        request = iter([pb.ReportTelemetryRequest(report=bad)])
        error = await refusal(monitor.stub.ReportTelemetry(request))
        answer = await monitor.query()
    assert isinstance(error, errors.InvalidArgument)
    assert ("INVALID_REPORT", fields) == (error.reason, [each.field for each in error.violations])
    assert [] == list(answer.statistics)


async def test_times_that_no_calendar_has_are_taken_for_what_they_are(tmp_path: Path) -> None:
    """An end far in the future counts as now instead of breaking the service."""
    odd = wrong()
    odd.end_time.seconds = 2**62
    async with running_monitor(tmp_path) as monitor:
        assert [1] == await monitor.send([odd])
        assert [1] == [each.success_count for each in (await monitor.query()).statistics]


async def test_bytes_that_are_no_message_are_the_callers_fault(tmp_path: Path) -> None:
    """Malformed bytes are INVALID_ARGUMENT, on the stream of reports and in a question."""
    service = "/headrace.monitor.v1.MonitorService"
    async with running_monitor(tmp_path) as monitor:
        question: Any = monitor.channel.unary_unary(f"{service}/QueryStatistics")
        reports: Any = monitor.channel.stream_stream(f"{service}/ReportTelemetry")
        found = [
            await refusal(question(b"\xff\xff\xff")),
            await refusal(reports(iter([b"\xff\xff\xff"]))),
        ]
    assert ["MALFORMED_REQUEST"] * 2 == [error.reason for error in found]


async def test_the_memory_of_windows_is_bounded(tmp_path: Path) -> None:
    """With many series the oldest windows go; the newest are still right."""
    clock = FakeClock()
    async with running_monitor(tmp_path, clock, window_memory_mb=1) as monitor:
        for number in range(1, 41):
            clock.now_ns = NOW + number * 10 * SECOND
            versions = [telemetry([number], version=each) for each in range(1, 101)]
            await monitor.send([report("a", number, *versions, end_ns=clock.now_ns)])
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
