"""The monitor's RPC methods: each decodes, calls the domain, and encodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, cast

import grpc

from headrace.monitor.v1 import monitor_service_pb2, monitor_service_pb2_grpc
from headrace.security.access import OPEN_ACCESS, Access
from headrace.security.callers import current_caller
from headrace.service.method_table import Methods, with_methods_changed
from headrace.telemetry.costs import Prices
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.domain.ingestion.report_memory import ReportMemory
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.domain.telemetry.report import Report
from headrace_monitor.wire.grpc import answers, convert, report_bytes, streams
from headrace_monitor.wire.sight import Sight

_OWN_BYTES = {
    "ReportTelemetry": "request_deserializer",
    "QueryStatistics": "response_serializer",
    "WatchStatistics": "response_serializer",
    "QuerySeries": "response_serializer",
}
"""What we read or write ourselves, piece by piece, of each method."""


def register(servicer: MonitorServicer, server: grpc.aio.Server) -> None:
    """Add every method; reports come as bytes, and answers to questions go as bytes."""
    table = with_methods_changed(server, _with_own_bytes)
    monitor_service_pb2_grpc.add_MonitorServiceServicer_to_server(servicer, table)


class MonitorServicer(monitor_service_pb2_grpc.MonitorServiceServicer):
    """Hands reports to ingestion, questions to the query engine; streams end when `stopping` is set."""

    def __init__(
        self,
        ingestion: Ingestion,
        query_engine: QueryEngine,
        memory: ReportMemory,
        stopping: asyncio.Event,
        *,
        max_versions: int,
        access: Access = OPEN_ACCESS,
        layouts: KnownLayouts | None = None,
        prices: Prices | None = None,
    ) -> None:
        self._ingestion = ingestion
        self._query_engine = query_engine
        self._memory = memory
        self._stopping = stopping
        self._max_versions = max_versions
        self._layouts = layouts or KnownLayouts()
        self._sight = Sight(access)
        self._prices = convert.prices_to_bytes(prices or Prices())

    async def ReportTelemetry(  # type: ignore[override]  # bytes come in
        self, request_iterator: AsyncIterator[bytes], context: object
    ) -> AsyncIterator[monitor_service_pb2.ReportTelemetryResponse]:
        """Store reports, and acknowledge each once it is."""
        with self._memory.stream():
            async for request in streams.until_set(self._stopping, request_iterator):
                with self._memory.hold(len(request)):
                    sequence = await self._store(request)
                del request  # not while the next one is waited for
                yield monitor_service_pb2.ReportTelemetryResponse(sequence=sequence)

    async def _store(self, request: bytes) -> int:
        def read() -> Report:
            return report_bytes.report_from_bytes(request, self._max_versions, self._layouts)

        small = report_bytes.is_small(request)
        report = read() if small else await self._ingestion.run_in_thread(read)
        return await self._ingestion.accept(report, current_caller().identity.subject)

    async def QueryStatistics(  # type: ignore[override]  # bytes go out
        self, request: monitor_service_pb2.QueryStatisticsRequest, context: object
    ) -> bytes:
        """Answer with the statistics of a window."""
        return await self._statistics(convert.query_from_proto(request))

    async def WatchStatistics(  # type: ignore[override]  # bytes go out
        self, request: monitor_service_pb2.WatchStatisticsRequest, context: object
    ) -> AsyncIterator[bytes]:
        """Answer with the statistics of a window, again and again."""
        watch = convert.watch_from_proto(request)
        async for _ in streams.ticks(self._stopping, watch.interval_seconds):
            yield await self._statistics(watch.query)

    async def QuerySeries(  # type: ignore[override]  # bytes go out
        self, request: monitor_service_pb2.QuerySeriesRequest, context: object
    ) -> bytes:
        """Answer with the statistics of each step of a window."""
        query, step_ns = convert.series_from_proto(request)
        steps = await self._query_engine.series(self._sight.of(query), step_ns)
        return await self._query_engine.run_in_thread(lambda: answers.series_to_bytes(steps))

    async def _statistics(self, query: Query) -> bytes:
        statistics = await self._query_engine.statistics(self._sight.of(query))
        return await self._query_engine.run_in_thread(
            lambda: answers.statistics_to_bytes(statistics) + self._prices
        )


class _Replaceable(Protocol):
    """A handler as it is in the generated table: a named tuple."""

    def _replace(self, **changes: object) -> grpc.RpcMethodHandler[bytes, bytes]: ...


def _with_own_bytes(methods: Methods) -> Methods:
    """Let bytes through where we read or write them."""
    handlers = cast("dict[str, _Replaceable]", methods)
    return {
        name: handler._replace(**{_OWN_BYTES[name]: None}) for name, handler in handlers.items()
    }
