"""Sends the totals to a collector as OTLP metrics, every 15 s, on a thread of its own."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from headrace.tracing.otlp import TIMEOUT_SECONDS, missing_extra
from headrace.tracing.settings import OtlpSettings
from headrace_monitor.adapters.otlp_points import TotalsSince, metrics_of
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.telemetry.exemplar import Exemplar

logger = logging.getLogger(__name__)

PERIOD_SECONDS = 15.0
CLOSE_SECONDS = 5.0
"""How long the last totals may take to be sent at the end."""

MAX_POINTS = 1000
"""In one message: with full histograms some 2 MB; collectors take 4 MiB."""

Take = Callable[[], Mapping[tuple[str, int], Sequence[Exemplar]]]


@contextmanager
def open_otlp_metrics(settings: OtlpSettings, ledger: Ledger, take: Take) -> Iterator[None]:
    """Send the totals while inside, and once more at the end; nothing where the settings name no collector.

    `take` gives the traced requests that came since it was last called.
    Raises FailedPrecondition (OTEL_EXTRA_MISSING).
    """
    if not settings.otlp_endpoint:
        yield
        return
    sender = MetricsSender(_exporter(settings), ledger, take)
    sender.start()
    try:
        yield
    finally:
        sender.close()


class MetricsSender:
    """Sends what versions did since it was made. What a collector misses, the next totals have."""

    def __init__(self, exporter: Any, ledger: Ledger, take: Take) -> None:
        self._exporter = exporter
        self._ledger = ledger
        self._take = take
        self._since = TotalsSince(ledger.totals.versions, time.time_ns())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-metrics", daemon=True)
        self._is_failing = False

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """Send once more, for a bounded time, and end."""
        self._stopping.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD_SECONDS):
            self._send()
        self._send()
        self._exporter.shutdown()

    def _send(self) -> None:
        try:
            was_sent = self._export()
        except Exception as error:  # noqa: BLE001  # of a library, whose errors are its own
            logger.debug("metrics could not be sent: %s", error)
            was_sent = False
        if was_sent == self._is_failing:
            self._is_failing = not was_sent
            told = "metrics are sent again" if was_sent else "metrics cannot be sent over OTLP"
            logger.log(logging.INFO if was_sent else logging.WARNING, told)

    def _export(self) -> bool:
        from opentelemetry.sdk.metrics.export import (
            MetricExportResult,
            MetricsData,
            ResourceMetrics,
            ScopeMetrics,
        )
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        now_ns = time.time_ns()
        versions = self._since.of(self._ledger.totals.versions, now_ns)
        found = list(metrics_of(versions, now_ns, self._take()))
        if not found:
            return not self._is_failing
        resource = Resource.create(
            {
                "service.name": "headrace-monitor",
                "service.namespace": "headrace",
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            }
        )
        scope = ScopeMetrics(InstrumentationScope("headrace"), found, "")
        result = self._exporter.export(MetricsData([ResourceMetrics(resource, [scope], "")]))
        return bool(result is MetricExportResult.SUCCESS)


def _exporter(settings: OtlpSettings) -> Any:
    """The exporter of the form that the settings name. Raises FailedPrecondition."""
    endpoint = settings.otlp_endpoint
    common: Any = {"timeout": TIMEOUT_SECONDS, "max_export_batch_size": MAX_POINTS}
    try:
        if settings.otlp_protocol == "http":
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
                OTLPMetricExporter as HttpExporter,
            )

            return HttpExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", **common)
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
            OTLPMetricExporter as GrpcExporter,
        )
    except ImportError as error:
        raise missing_extra() from error
    insecure = endpoint.startswith("http://")
    return GrpcExporter(endpoint=endpoint, insecure=insecure, **common)
