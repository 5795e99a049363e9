"""A real monitor on free ports, its clock in the test's hand, and reports to send it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
from google.protobuf import duration_pb2, timestamp_pb2

from headrace.monitor.v1 import monitor_service_pb2, monitor_service_pb2_grpc, telemetry_pb2
from headrace.telemetry.histogram import Histogram
from headrace_inference.adapters.generation_telemetry import histogram_to_proto
from headrace_monitor.app.monitor import open_monitor
from headrace_monitor.domain.clock import TimeSource
from headrace_monitor.settings import Settings

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
MILLISECOND = 1_000_000


class FakeClock:
    """The time of day and the time that passed, which only move when a test says so."""

    def __init__(self, now_ns: int = NOW) -> None:
        self._now_ns = now_ns
        self._elapsed_ns = 0

    def now_ns(self) -> int:
        """The time of day."""
        return self._now_ns

    def elapsed_ns(self) -> int:
        """The time that passed."""
        return self._elapsed_ns

    def pass_by(self, length_ns: int) -> None:
        """Time passes."""
        self._now_ns += length_ns
        self._elapsed_ns += length_ns

    def step(self, length_ns: int) -> None:
        """The clock is set, ahead or back; no time passes."""
        self._now_ns += length_ns


@dataclass(frozen=True, slots=True)
class RunningMonitor:
    """A monitor to call: over gRPC by `stub`, over HTTP by `get`; `stopping` tells it to stop."""

    address: str
    channel: grpc.aio.Channel
    stub: Any
    http: aiohttp.ClientSession
    stopping: asyncio.Event

    async def send(
        self, reports: Iterable[telemetry_pb2.TelemetryReport], sent_ns: int | None = None
    ) -> list[int]:
        """Send reports over a stream of their own; the numbers that were acknowledged."""
        sent_time = None if sent_ns is None else timestamp(sent_ns)
        requests = (
            monitor_service_pb2.ReportTelemetryRequest(report=each, sent_time=sent_time)
            for each in reports
        )
        return [response.sequence async for response in self.stub.ReportTelemetry(requests)]

    async def query(self, **fields: Any) -> monitor_service_pb2.QueryStatisticsResponse:
        """Ask for statistics."""
        request = monitor_service_pb2.QueryStatisticsRequest(**fields)
        response: monitor_service_pb2.QueryStatisticsResponse = await self.stub.QueryStatistics(
            request
        )
        return response

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        async with self.http.get(path) as response:
            return response.status, await response.text()


@contextlib.asynccontextmanager
async def running_monitor(
    data: Path, clock: TimeSource | None = None, **settings: Any
) -> AsyncIterator[RunningMonitor]:
    """A monitor over the folder `data`; stopped on leaving."""
    stopping = asyncio.Event()
    own = Settings(data=data, grpc_port=0, http_port=0, **settings)
    async with (
        open_monitor(own, stopping, clock or FakeClock()) as monitor,
        grpc.aio.insecure_channel(f"127.0.0.1:{monitor.grpc_port}") as channel,
        aiohttp.ClientSession(f"http://127.0.0.1:{monitor.http_port}") as http,
    ):
        stub: Any = monitor_service_pb2_grpc.MonitorServiceStub(channel)
        try:
            yield RunningMonitor(f"127.0.0.1:{monitor.grpc_port}", channel, stub, http, stopping)
        finally:
            stopping.set()


def seconds(count: float) -> duration_pb2.Duration:
    """So many seconds as a message."""
    return duration_pb2.Duration(seconds=int(count), nanos=round(count % 1 * SECOND))


def timestamp(time_ns: int) -> timestamp_pb2.Timestamp:
    """The time as a message."""
    return timestamp_pb2.Timestamp(seconds=time_ns // SECOND, nanos=time_ns % SECOND)


def histogram_of(durations_ns: Iterable[int]) -> telemetry_pb2.Histogram:
    """The histogram of some durations, as replicas send it."""
    histogram = Histogram()
    histogram.record(np.array(list(durations_ns), dtype=np.int64))
    return histogram_to_proto(histogram)


def telemetry(
    durations_ns: Iterable[int], *, model: str = "digits", version: int = 1, failed: int = 0
) -> telemetry_pb2.VersionTelemetry:
    """What a version did: a request of one row in a batch of its own for each duration."""
    durations = list(durations_ns)
    return telemetry_pb2.VersionTelemetry(
        model=model,
        version=version,
        success_count=len(durations),
        row_count=len(durations),
        execution_count=len(durations),
        error_counts={"QUEUE_FULL": failed} if failed else {},
        route_counts={"stable": len(durations)},
        batch_counts={1: len(durations)},
        total=histogram_of(durations),
        queue=histogram_of(duration // 4 for duration in durations),
        compute=histogram_of(duration // 2 for duration in durations),
    )


def report(
    replica: str,
    sequence: int,
    *versions: telemetry_pb2.VersionTelemetry,
    end_ns: int = NOW,
    boot_id: str = "boot",
    dropped: int = 0,
    last: bool = False,
) -> telemetry_pb2.TelemetryReport:
    """A report of one second."""
    return telemetry_pb2.TelemetryReport(
        replica=replica,
        boot_id=boot_id,
        sequence=sequence,
        start_time=timestamp(end_ns - SECOND),
        end_time=timestamp(end_ns),
        versions=versions,
        dropped_reports=dropped,
        last=last,
    )
