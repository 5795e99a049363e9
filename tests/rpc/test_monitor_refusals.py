"""What the monitor refuses, and that it says which field is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2

from headrace import errors, status
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from tests.rpc.monitors import (
    MILLISECOND,
    NOW,
    SECOND,
    report,
    running_monitor,
    seconds,
    telemetry,
    timestamp,
)


async def refusal(call: Any) -> errors.HeadraceError:
    """The error that a unary or streaming call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_last(call) if hasattr(call, "__aiter__") else call)
    return status.error_from_rpc(caught.value)


async def _last(call: Any) -> Any:
    return [response async for response in call][-1]


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
        (wrong(end_time=timestamp(-SECOND)), ["end_time"]),
        (wrong(dropped_reports=-1), ["dropped_reports"]),
        (wrong(versions=[version(model="m" * 129)]), ["versions[0].model"]),
        (wrong(versions=[version(), version(success_count=-4)]), ["versions[1].success_count"]),
        (wrong(versions=[version(error_counts={"X": -1})]), ["versions[0].error_counts"]),
        (wrong(versions=[version(batch_counts={1: 2**62})]), ["versions[0].batch_counts"]),
        (wrong(versions=[version(batch_counts={-1: 1})]), ["versions[0].batch_counts"]),
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


async def test_a_report_of_too_many_versions_is_refused(tmp_path: Path) -> None:
    """A report over the setting says so, with the limit, and nothing of it is kept."""
    versions = [version(model=f"m{number}", success_count=1) for number in range(201)]
    async with running_monitor(tmp_path, max_report_versions=200) as monitor:
        request = iter([pb.ReportTelemetryRequest(report=report("a", 1, *versions))])
        error = await refusal(monitor.stub.ReportTelemetry(request))
        assert [1] == await monitor.send([report("a", 1, *versions[:200])])
        answer = await monitor.query()
    assert isinstance(error, errors.InvalidArgument)
    assert ("REPORT_TOO_LARGE", {"limit": "200", "setting": "max_report_versions"}) == (
        error.reason,
        error.facts,
    )
    assert 200 == len(answer.statistics)


async def test_invented_models_leave_the_known_ones_their_counts(tmp_path: Path) -> None:
    """Whatever names somebody makes up, a model that was there is counted under its own."""
    async with running_monitor(tmp_path, max_versions=10) as monitor:
        await monitor.send([report("a", 1, telemetry([MILLISECOND]))])
        for number in range(1, 6):
            names = [f"invented-{number}-{index}" for index in range(100)]
            invented = [version(model=name, error_counts={"X": 1}) for name in names]
            await monitor.send([report("evil", number, *invented)])
        await monitor.send([report("a", 2, telemetry([MILLISECOND]))])
        answer = await monitor.query()
    counts = {each.model: each.success_count + each.error_count for each in answer.statistics}
    assert (2, 491, 11) == (counts["digits"], counts["_other"], len(counts))


async def test_replicas_over_the_setting_are_refused(tmp_path: Path) -> None:
    """A replica too many is told which setting to raise and when to come again."""
    async with running_monitor(tmp_path, max_replicas=1) as monitor:
        await monitor.send([report("a", 1)])
        request = iter([pb.ReportTelemetryRequest(report=report("b", 1))])
        error = await refusal(monitor.stub.ReportTelemetry(request))
        assert [2] == await monitor.send([report("a", 2)])
    assert isinstance(error, errors.ResourceExhausted)
    assert ("TOO_MANY_REPLICAS", 5.0) == (error.reason, error.retry_after_seconds)
