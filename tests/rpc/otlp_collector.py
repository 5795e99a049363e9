"""A collector of OpenTelemetry over gRPC that remembers the spans and metrics that it was sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as pb_grpc

WAIT_SECONDS = 20.0


class Collector(pb_grpc.TraceServiceServicer):
    """The spans that came, in the order in which they came, and by whom they were sent."""

    def __init__(self) -> None:
        self.address = ""
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.metrics = MetricsCollector()
        self._there = threading.Condition()

    def Export(self, request: Any, context: object) -> Any:
        with self._there:
            for resource in request.resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                self.services.add(names["service.name"])
                for scope in resource.scope_spans:
                    self.spans += scope.spans
            self._there.notify_all()
        return pb.ExportTraceServiceResponse()

    async def when(self, holds: Callable[[list[Any]], bool]) -> list[Any]:
        """The spans, once this holds of them."""
        return await asyncio.to_thread(self._when, holds)

    def _when(self, holds: Callable[[list[Any]], bool]) -> list[Any]:
        with self._there:
            assert self._there.wait_for(lambda: holds(self.spans), WAIT_SECONDS), self.spans
            return list(self.spans)


class MetricsCollector(metrics_service_pb2_grpc.MetricsServiceServicer):
    """The metrics that came last, by name."""

    def __init__(self) -> None:
        self.newest: dict[str, Any] = {}
        self.instances: set[str] = set()

    def Export(self, request: Any, context: object) -> Any:
        for resource in request.resource_metrics:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.instances.add(names["service.name"])
            for scope in resource.scope_metrics:
                self.newest |= {metric.name: metric for metric in scope.metrics}
        return metrics_service_pb2.ExportMetricsServiceResponse()


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector that listens while inside."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]
        collector.metrics, server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    collector.address = f"http://127.0.0.1:{port}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


def attributes_of(span: Any) -> dict[str, Any]:
    """The attributes of a span by name."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }
