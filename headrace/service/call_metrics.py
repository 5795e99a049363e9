"""Counts of gRPC calls under the names that dashboards for gRPC services know.

`grpc_server_started_total`, `_handled_total` by code, `_msg_received_total`, `_msg_sent_total`, and the
histogram `grpc_server_handling_seconds`, as go-grpc-prometheus has them; and, by the reasons of our errors,
`headrace_call_errors_total`. Only methods that were announced
are counted, all of them from the start: callers cannot add series, and rates see a method's first call.
A server's calls begin and end on one event loop, so nothing here is locked; scrapes may come from another
thread.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, Self

import grpc
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headrace.service.call_spans import CallSpans

EDGES_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_REASON_LABELS = ("grpc_service", "grpc_method", "reason")
_TYPES = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
_NAMES = {code: code.name.title().replace("_", "") for code in grpc.StatusCode} | {
    grpc.StatusCode.OK: "OK",
    grpc.StatusCode.CANCELLED: "Canceled",
}
"""As Go writes them: dashboards ask for `Unavailable`, `DeadlineExceeded`, `Canceled`."""


class MethodCalls:
    """The calls of one method."""

    def __init__(
        self, kind: str = "", service: str = "", method: str = "", spans: CallSpans | None = None
    ) -> None:
        self.labels = (kind, service, method)
        self.spans = spans
        self.started = 0
        self.received = 0
        """Messages of callers."""
        self.sent = 0
        """Messages to callers."""
        self.handled = {"OK": 0}
        self.errors: dict[str, int] = {}
        self.buckets = [0] * (len(EDGES_SECONDS) + 1)
        self.seconds = 0.0

    def begin(self, context: Any) -> _Call:
        """Count a call, which lasts until the block is left."""
        return _Call(self, context)

    def end(self, code: grpc.StatusCode, seconds: float, reason: str = "") -> None:
        """A call ended with this status, and with an error for this reason; '' where nobody named one."""
        if code is not grpc.StatusCode.OK:
            reason = reason or code.name
            self.errors[reason] = self.errors.get(reason, 0) + 1
        name = _NAMES[code]
        self.handled[name] = self.handled.get(name, 0) + 1
        self.buckets[bisect_left(EDGES_SECONDS, seconds)] += 1
        self.seconds += seconds


class _Call:
    """One call, while inside."""

    __slots__ = ("_began", "_calls", "_context", "_has_ended", "_span")

    def __init__(self, calls: MethodCalls, context: Any) -> None:
        self._calls = calls
        self._context = context
        self._has_ended = False

    def __enter__(self) -> Self:
        self._calls.started += 1
        spans = self._calls.spans
        self._span = spans.begin(*self._calls.labels, self._context) if spans is not None else None
        self._began = time.perf_counter()
        return self

    def refused(self, code: grpc.StatusCode, reason: str) -> None:
        """It ends with this error, which its caller is about to be told: who then asks finds it counted."""
        self._has_ended = True
        self._end(code, reason)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._has_ended:
            self._end(_code(kind, self._context), "")

    def _end(self, code: grpc.StatusCode, reason: str) -> None:
        self._calls.end(code, time.perf_counter() - self._began, reason)
        if self._span is not None:
            self._span.end(code, reason)


def _code(kind: type[BaseException] | None, context: Any) -> grpc.StatusCode:
    """The status of a call that ended so: its caller may have gone, or its time may be up."""
    if kind is None or issubclass(kind, grpc.aio.AbortError):
        return context.code() or grpc.StatusCode.OK
    if not issubclass(kind, asyncio.CancelledError | GeneratorExit):
        return grpc.StatusCode.UNKNOWN
    left = context.time_remaining()
    late = left is not None and left <= 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED


class CallMetrics(Collector):
    """The calls of the methods of these services (descriptors), but for some, named as on the wire."""

    def __init__(
        self,
        services: Iterable[Any] = (),
        without: Collection[str] = (),
        spans: CallSpans | None = None,
    ) -> None:
        self._methods = {
            path: MethodCalls(
                _TYPES[method.client_streaming, method.server_streaming],
                service.full_name,
                method.name,
                spans,
            )
            for service in services
            for method in service.methods
            if (path := f"/{service.full_name}/{method.name}") not in without
        }
        self._uncounted = MethodCalls()

    def of(self, method: str) -> MethodCalls:
        """The calls of a method; those of all that is not counted are together, and not shown."""
        return self._methods.get(method, self._uncounted)

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now."""
        methods = self._methods.values()
        started = CounterMetricFamily("grpc_server_started", "Calls begun.", labels=_LABELS)
        handled = CounterMetricFamily(
            "grpc_server_handled", "Calls ended, by their status.", labels=(*_LABELS, "grpc_code")
        )
        received = CounterMetricFamily(
            "grpc_server_msg_received", "Messages received from callers.", labels=_LABELS
        )
        sent = CounterMetricFamily(
            "grpc_server_msg_sent", "Messages sent to callers.", labels=_LABELS
        )
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds", "How long calls took, streams included.", labels=_LABELS
        )
        errors = CounterMetricFamily(
            "headrace_call_errors",
            "Calls ended with an error, by its reason.",
            labels=_REASON_LABELS,
        )
        for calls in methods:
            started.add_metric(calls.labels, calls.started)
            received.add_metric(calls.labels, calls.received)
            sent.add_metric(calls.labels, calls.sent)
            seconds.add_metric(calls.labels, _cumulated(calls.buckets), calls.seconds)
            for code, count in calls.handled.copy().items():
                handled.add_metric((*calls.labels, code), count)
            for reason, count in calls.errors.copy().items():
                errors.add_metric((*calls.labels[1:], reason), count)
        return (started, handled, received, sent, seconds, errors)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance."""
        return ()


def _cumulated(buckets: Iterable[int]) -> list[tuple[str, float]]:
    total = 0
    cumulated: list[tuple[str, float]] = []
    for edge, count in zip((*map(str, EDGES_SECONDS), "+Inf"), buckets, strict=True):
        total += count
        cumulated.append((edge, total))
    return cumulated
