"""Reports and questions that mean harm."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from tests.hostile.messages import field, varint
from tests.hostile.target import MIB, Target

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("running_target", ["native"], indirect=True),
]

SERVICE = "/headrace.monitor.v1.MonitorService/"
QUERY, REPORT = "INVALID_ARGUMENT INVALID_QUERY", "INVALID_ARGUMENT INVALID_REPORT"
LAST = 2**63 - 1

Version = telemetry_pb2.VersionTelemetry


def _query(**fields: Any) -> Message:
    return pb.QueryStatisticsRequest(**fields)


def _series(step: dict[str, int], **fields: Any) -> Message:
    return pb.QuerySeriesRequest(query=pb.QueryStatisticsRequest(**fields), step=step)


def _watch(interval: dict[str, int], **fields: Any) -> Message:
    return pb.WatchStatisticsRequest(query=pb.QueryStatisticsRequest(**fields), interval=interval)


QUESTIONS: list[tuple[str, str, Message, str]] = [
    ("version -1", "QueryStatistics", _query(version=-1), QUERY),
    ("window 0", "QueryStatistics", _query(window={}), QUERY),
    ("window -1", "QueryStatistics", _query(window={"seconds": -1}), QUERY),
    ("window for ever", "QueryStatistics", _query(window={"seconds": LAST}), QUERY),
    ("end before 1970", "QueryStatistics", _query(end_time={"seconds": -1}), QUERY),
    ("end of time", "QueryStatistics", _query(end_time={"seconds": LAST}), "OK"),
    ("a model of 1 MiB", "QueryStatistics", _query(model="m" * MIB), "OK"),
    ("a model of NUL", "QueryStatistics", _query(model="\0"), "OK"),
    ("step 0", "QuerySeries", _series({}), QUERY),
    ("step -1", "QuerySeries", _series({"seconds": -1}), QUERY),
    ("step 1 ns", "QuerySeries", _series({"nanos": 1}), QUERY),
    ("step for ever", "QuerySeries", _series({"seconds": LAST}), QUERY),
    ("a million steps", "QuerySeries", _series({"seconds": 1}, window={"seconds": 10**6}), QUERY),
    ("interval -1", "WatchStatistics", _watch({"seconds": -1}), QUERY),
    ("interval 1 ns", "WatchStatistics", _watch({"nanos": 1}), QUERY),
    ("interval for ever", "WatchStatistics", _watch({"seconds": LAST}), QUERY),
    (
        "a watch of the past",
        "WatchStatistics",
        _watch({"seconds": 1}, end_time={"seconds": 1}),
        QUERY,
    ),
]

GOOD: dict[str, Any] = {
    "replica": "hostile",
    "boot_id": "b",
    "sequence": 1,
    "start_time": {"seconds": 1},
    "end_time": {"seconds": 2},
}

REPORTS: dict[str, dict[str, Any]] = {
    "no replica": {"replica": ""},
    "a long replica": {"replica": "r" * 129},
    "a replica of 1 MiB": {"replica": "r" * MIB},
    "no boot": {"boot_id": ""},
    "sequence 0": {"sequence": 0},
    "sequence -1": {"sequence": -1},
    "another bucket of -1": {"versions": [Version(queue={"counts": {2**31 - 1: -1}})]},
    "before 1970": {"start_time": {"seconds": -5}},
    "dropped -1": {"dropped_reports": -1},
    "a long model": {"versions": [Version(model="m" * 129)]},
    "successes -1": {"versions": [Version(model="m", version=1, success_count=-1)]},
    "successes 2^63-1": {"versions": [Version(model="m", version=1, success_count=LAST)]},
    "a bucket of -1": {"versions": [Version(model="m", version=1, total={"counts": {5: -1}})]},
    "5,000 reasons": {"versions": [Version(error_counts={str(n): 1 for n in range(5000)})]},
}

BYTES = {
    "ones": b"\xff" * 100,
    "a field that is cut": b"\x0a\x05a",
    "groups 100,000 deep": varint(1 << 3 | 3) * 100_000,
}


@pytest.mark.parametrize(
    ("method", "message", "expected"),
    [row[1:] for row in QUESTIONS],
    ids=[row[0] for row in QUESTIONS],
)
def test_question(target: Target, method: str, message: Message, expected: str) -> None:
    """A question out of range is refused."""
    assert expected == target.call("monitor", SERVICE + method, message.SerializeToString())


@pytest.mark.parametrize("changes", REPORTS.values(), ids=REPORTS)
def test_report(target: Target, changes: dict[str, Any]) -> None:
    """A report that cannot be true is refused and not merged."""
    report = telemetry_pb2.TelemetryReport(**GOOD | changes)
    sent = pb.ReportTelemetryRequest(report=report).SerializeToString()
    assert REPORT == target.call("monitor", SERVICE + "ReportTelemetry", [sent])


def test_a_report_of_invented_models(target: Target) -> None:
    """A report of more versions than are taken in one is refused as too large."""
    versions = [Version(model=f"m{number}", version=1) for number in range(10_000)]
    report = telemetry_pb2.TelemetryReport(**GOOD, versions=versions)
    sent = pb.ReportTelemetryRequest(report=report).SerializeToString()
    expected = "INVALID_ARGUMENT REPORT_TOO_LARGE"
    assert expected == target.call("monitor", SERVICE + "ReportTelemetry", [sent])


@pytest.mark.parametrize("sent", BYTES.values(), ids=BYTES)
@pytest.mark.parametrize("method", ["QueryStatistics", "QuerySeries", "ReportTelemetry"])
def test_bytes(target: Target, method: str, sent: bytes) -> None:
    """Bytes that are no message are the caller's mistake."""
    message = [sent] if method == "ReportTelemetry" else sent
    expected = "INVALID_ARGUMENT MALFORMED_REQUEST"
    assert expected == target.call("monitor", SERVICE + method, message)


def _report(**changes: Any) -> bytes:
    report = telemetry_pb2.TelemetryReport(**GOOD | changes)
    return pb.ReportTelemetryRequest(report=report).SerializeToString()


MOST = 2**48
FULL = {"counts": dict.fromkeys(range(481), MOST), "sum_ns": LAST}
GREEDY = Version(
    model="greedy",
    version=1,
    success_count=MOST,
    error_counts={str(n): MOST for n in range(4096)},
    batch_counts=dict.fromkeys(range(2**31 - 4096, 2**31), MOST),
    total=FULL,
)


def test_sums_over_64_bits(target: Target) -> None:
    """Reports whose sums no 64 bits hold are taken, and every question after them is answered."""
    sent = [_report(sequence=1 + n, boot_id="greedy", versions=[GREEDY]) for n in range(40)]
    assert "OK" == target.call("monitor", SERVICE + "ReportTelemetry", sent)
    lives = [_report(boot_id=f"life {n}", dropped_reports=MOST) for n in range(100)]
    assert "OK" == target.call("monitor", SERVICE + "ReportTelemetry", lives)
    day = _query(window={"seconds": 86_400}, by_replica=True).SerializeToString()
    assert "OK" == target.call("monitor", SERVICE + "QueryStatistics", day)
    series = pb.QuerySeriesRequest(query=pb.QueryStatisticsRequest(window={"seconds": 86_400}))
    assert "OK" == target.call("monitor", SERVICE + "QuerySeries", series.SerializeToString())


@pytest.mark.parametrize("seconds", [1, 4_000_000_000, 253_402_300_799, LAST])
def test_clocks_of_other_ages(target: Target, seconds: int) -> None:
    """A replica whose clock has no time of ours is taken, and questions are answered."""
    report = telemetry_pb2.TelemetryReport(
        replica="hostile", boot_id=f"at {seconds}", sequence=LAST, last=True
    )
    for time in (report.start_time, report.end_time):
        time.seconds = seconds
    request = pb.ReportTelemetryRequest(report=report, sent_time={"seconds": LAST - seconds + 1})
    sent = [request.SerializeToString()]
    assert "OK" == target.call("monitor", SERVICE + "ReportTelemetry", sent)
    assert "OK" == target.call("monitor", SERVICE + "QueryStatistics", b"")


LARGE = {
    "two million versions of nothing": (
        field(1, b"\x32\x00" * (2**21 - 100)),
        "INVALID_ARGUMENT REPORT_TOO_LARGE",
    ),
    "one version of 2 MiB": (field(1, field(6, b"\x32\x00" * MIB)), REPORT),
    "2 MiB of fields that nobody knows": (field(1, field(99, b"x") * (MIB // 2)), REPORT),
    "a length of 2^63": (field(1, varint(6 << 3 | 2) + varint(2**63) + b"x" * 20_000), ""),
    "a report that is cut": (_report(versions=[GREEDY])[:-9], ""),
    "a number without an end": (b"\xff" * 20_000, ""),
    "5 MiB": (_report(replica="r" * 5 * MIB), "RESOURCE_EXHAUSTED"),
}


@pytest.mark.parametrize(("sent", "expected"), LARGE.values(), ids=LARGE)
def test_large_reports(target: Target, sent: bytes, expected: str) -> None:
    """What is too large, or no message, is refused before it is read."""
    expected = expected or "INVALID_ARGUMENT MALFORMED_REQUEST"
    assert expected == target.call("monitor", SERVICE + "ReportTelemetry", [sent]).strip()


def test_a_model_that_is_no_utf8(target: Target) -> None:
    """A name that is no text is no message."""
    expected = "INVALID_ARGUMENT MALFORMED_REQUEST"
    assert expected == target.call("monitor", SERVICE + "QueryStatistics", field(1, b"\xff"))
