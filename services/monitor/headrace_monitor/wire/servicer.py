"""The methods of headrace.monitor.v1.MonitorService: decode, call, encode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from headrace.monitor.v1 import monitor_service_pb2, monitor_service_pb2_grpc
from headrace_monitor.domain.intake import Intake
from headrace_monitor.domain.queries import Observer
from headrace_monitor.wire import convert, report_convert, streams


class MonitorServicer(monitor_service_pb2_grpc.MonitorServiceServicer):
    """Serves reports from an intake and questions from an observer; streams end when `stopping` is set."""

    def __init__(
        self, intake: Intake, observer: Observer, stopping: asyncio.Event, *, max_versions: int
    ) -> None:
        self._intake = intake
        self._observer = observer
        self._stopping = stopping
        self._max_versions = max_versions

    async def ReportTelemetry(
        self,
        request_iterator: AsyncIterator[monitor_service_pb2.ReportTelemetryRequest],
        context: Any,
    ) -> AsyncIterator[monitor_service_pb2.ReportTelemetryResponse]:
        """Store reports, and acknowledge each once it is."""
        async for request in streams.until_set(self._stopping, request_iterator):
            report = report_convert.report_from_proto(request.report, self._max_versions)
            sequence = await self._intake.accept(report)
            yield monitor_service_pb2.ReportTelemetryResponse(sequence=sequence)

    async def QueryStatistics(
        self, request: monitor_service_pb2.QueryStatisticsRequest, context: Any
    ) -> monitor_service_pb2.QueryStatisticsResponse:
        """What happened in a window."""
        query = convert.query_from_proto(request)
        return convert.statistics_to_proto(await self._observer.statistics(query))

    async def WatchStatistics(
        self, request: monitor_service_pb2.WatchStatisticsRequest, context: Any
    ) -> AsyncIterator[monitor_service_pb2.QueryStatisticsResponse]:
        """The same, again and again."""
        watch = convert.watch_from_proto(request)
        async for _ in streams.ticks(self._stopping, watch.interval_seconds):
            yield convert.statistics_to_proto(await self._observer.statistics(watch.query))

    async def QuerySeries(
        self, request: monitor_service_pb2.QuerySeriesRequest, context: Any
    ) -> monitor_service_pb2.QuerySeriesResponse:
        """What happened in every step of a window."""
        query, step_ns = convert.series_from_proto(request)
        steps = await self._observer.series(query, step_ns)
        return await asyncio.to_thread(
            convert.series_to_proto, steps
        )  # a thousand steps take a second
