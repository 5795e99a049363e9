"""Refusals of the monitor: told as the page says, and counted once, by method and reason."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import quality_service_pb2, quality_service_pb2_grpc
from tests.reasons.exact import expected, told_by
from tests.rpc.monitors import NOW, RunningMonitor, report, running_monitor, seconds, telemetry

QUERY, REPORT, LABELS = "QueryStatistics", "ReportTelemetry", "RecordLabels"
WRONG = report("a", 0)
"""Sequences begin with 1."""

LARGE = report("a", 1, *[telemetry([1], model=f"m{number}") for number in range(101)])

REFUSALS: tuple[tuple[str, str, str, Any], ...] = (
    ("InvalidArgument", "INVALID_QUERY", QUERY, pb.QueryStatisticsRequest(window=seconds(-1))),
    ("InvalidArgument", "INVALID_LABELS", LABELS, quality_service_pb2.RecordLabelsRequest()),
    ("InvalidArgument", "INVALID_REPORT", REPORT, WRONG),
    ("InvalidArgument", "REPORT_TOO_LARGE", REPORT, LARGE),
    ("ResourceExhausted", "TOO_MANY_REPLICAS", REPORT, report("b", 1)),
)
_SERIES = re.compile(
    r'^headrace_call_errors_total\{grpc_method="(\w+)",.*reason="(\w+)"\} (\d+)', re.MULTILINE
)


def _call(monitor: RunningMonitor, method: str, message: Any) -> Any:
    if method == QUERY:
        return monitor.stub.QueryStatistics(message)
    if method == LABELS:
        stub: Any = quality_service_pb2_grpc.QualityServiceStub(monitor.channel)
        return stub.RecordLabels(iter([message]))
    return monitor.stub.ReportTelemetry(iter([pb.ReportTelemetryRequest(report=message)]))


async def test_refusals(tmp_path: Path) -> None:
    """Of questions and of reports."""
    told, counted = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    async with running_monitor(tmp_path, max_replicas=1, max_report_versions=100) as monitor:
        await monitor.send([report("a", 1, end_ns=NOW)])
        for kind, reason, method, message in REFUSALS:
            assert expected(kind, reason) == await told_by(_call(monitor, method, message))
            told[method, reason] += 1
        _, page = await monitor.get("/metrics")
    for method, reason, count in _SERIES.findall(page):
        counted[method, reason] += int(count)
    assert told == counted
