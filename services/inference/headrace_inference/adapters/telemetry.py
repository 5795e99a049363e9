"""Reports what this replica did to the monitor, once a second; while the monitor is away, keeps the newest.

Each report has a sequence number and stays in the buffer until the monitor acknowledged it, so a broken
connection loses none and the monitor merges none twice. A full buffer drops its oldest, and counts them.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import timestamp_pb2

from headrace.histogram import Histogram
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc as pb_grpc
from headrace.monitor.v1 import telemetry_pb2
from headrace_inference.domain.statistics import Counts, StatisticsBook

logger = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 5.0


class TelemetryBuffer:
    """Reports that are not acknowledged yet, oldest first."""

    def __init__(self, replica: str, book: StatisticsBook, max_reports: int) -> None:
        self._replica = replica
        self._book = book
        self._boot_id = uuid.uuid4().hex
        self._sequence = 0
        self._since_ns = time.time_ns()
        self._reports: deque[telemetry_pb2.TelemetryReport] = deque()
        self._max_reports = max_reports
        self.added = asyncio.Event()
        self.dropped = 0
        """Reports that were dropped, unacknowledged."""

    def collect(self) -> None:
        """Add a report of what happened since the last one, also if that is nothing."""
        now_ns = time.time_ns()
        versions = [
            _version_telemetry(model, number, counts)
            for (model, number), statistics in self._book.items()
            if not (counts := statistics.take_new()).idle
        ]
        self._sequence += 1
        report = telemetry_pb2.TelemetryReport(
            replica=self._replica,
            boot_id=self._boot_id,
            sequence=self._sequence,
            start_time=_timestamp(self._since_ns),
            end_time=_timestamp(now_ns),
            versions=versions,
        )
        self._since_ns = now_ns
        self._reports.append(report)
        while len(self._reports) > self._max_reports:
            self.drop_oldest()
        report.dropped_reports = self.dropped
        self.added.set()

    def after(self, sequence: int) -> list[telemetry_pb2.TelemetryReport]:
        """The reports after this one that are still here."""
        return [report for report in self._reports if report.sequence > sequence]

    def acknowledge(self, sequence: int) -> None:
        """The monitor has this report and all before it."""
        while self._reports and self._reports[0].sequence <= sequence:
            self._reports.popleft()

    def drop_oldest(self) -> None:
        """Give the oldest report up."""
        if self._reports:
            self._reports.popleft()
            self.dropped += 1

    def __len__(self) -> int:
        return len(self._reports)


async def collect_telemetry(buffer: TelemetryBuffer, interval_seconds: float) -> None:
    """Collect for ever; once more when cancelled, so that the last requests are told."""
    try:
        while True:
            await asyncio.sleep(interval_seconds)
            buffer.collect()
    finally:
        buffer.collect()


async def send_telemetry(buffer: TelemetryBuffer, channel: grpc.aio.Channel) -> None:
    """Send for ever, over one stream after the other."""
    stub: Any = pb_grpc.MonitorServiceStub(channel)
    backoff = _FIRST_BACKOFF_SECONDS
    while True:
        try:
            async for response in stub.ReportTelemetry(_requests(buffer)):
                buffer.acknowledge(response.sequence)
                backoff = _FIRST_BACKOFF_SECONDS
        except grpc.aio.AioRpcError as error:
            _outlive(buffer, error)
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)


def _outlive(buffer: TelemetryBuffer, error: grpc.aio.AioRpcError) -> None:
    """An outage keeps all reports; one that the monitor refuses as such would be refused for ever."""
    facts = {"code": error.code().name, "waiting_reports": len(buffer)}
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        buffer.drop_oldest()
        logger.error("the monitor refused a report: %s", error.details(), extra=facts)
    else:
        logger.debug("telemetry is kept until the monitor is back", extra=facts)


async def flush_telemetry(
    buffer: TelemetryBuffer, channel: grpc.aio.Channel, timeout_seconds: float
) -> None:
    """Send what is left, if the monitor takes it within the time."""
    stub: Any = pb_grpc.MonitorServiceStub(channel)
    requests = [pb.ReportTelemetryRequest(report=report) for report in buffer.after(0)]
    try:
        async for response in stub.ReportTelemetry(iter(requests), timeout=timeout_seconds):
            buffer.acknowledge(response.sequence)
    except grpc.aio.AioRpcError:
        logger.warning("the last telemetry was not taken", extra={"reports": len(buffer)})


async def _requests(buffer: TelemetryBuffer) -> AsyncIterator[pb.ReportTelemetryRequest]:
    sent = 0
    while True:
        buffer.added.clear()
        for report in buffer.after(sent):
            sent = report.sequence
            yield pb.ReportTelemetryRequest(report=report)
        await buffer.added.wait()


def _version_telemetry(model: str, number: int, counts: Counts) -> telemetry_pb2.VersionTelemetry:
    return telemetry_pb2.VersionTelemetry(
        model=model,
        version=number,
        success_count=counts.successes,
        row_count=counts.rows,
        execution_count=counts.executions,
        error_counts=counts.errors,
        route_counts=counts.routes,
        batch_counts=counts.batches,
        total=_histogram(counts.total),
        queue=_histogram(counts.queue),
        compute=_histogram(counts.compute),
    )


def _histogram(histogram: Histogram) -> telemetry_pb2.Histogram:
    return telemetry_pb2.Histogram(counts=histogram.sparse(), sum_ns=histogram.sum_ns)


def _timestamp(nanoseconds: int) -> timestamp_pb2.Timestamp:
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromNanoseconds(nanoseconds)
    return timestamp
