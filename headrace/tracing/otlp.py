"""Spans as OTLP, by OpenTelemetry's exporters: the extra `otel`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace import errors
from headrace.tracing.settings import OtlpSettings
from headrace.tracing.spans import Span, SpanQueue

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TIMEOUT_SECONDS = 5


@contextmanager
def open_spans(settings: OtlpSettings, service: str, instance: str) -> Iterator[SpanQueue | None]:
    """The way of spans to the collector while inside; None where the settings name none.

    `service` and `instance` name the process to whoever looks at its spans. Raises FailedPrecondition
    (OTEL_EXTRA_MISSING) where the packages are not installed.
    """
    if not settings.otlp_endpoint:
        yield None
        return
    queue = SpanQueue(OtlpExporter(settings, service, instance))
    queue.start()
    try:
        yield queue
    finally:
        queue.close()


class OtlpExporter:
    """Sends spans to a collector."""

    def __init__(self, settings: OtlpSettings, service: str, instance: str) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import SpanExportResult
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError as error:
            raise missing_extra() from error
        # the SDK's own warnings, one for each attempt: the queue tells what changes
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = _exporter(settings)
        self._succeeded = SpanExportResult.SUCCESS
        self._scope = InstrumentationScope("headrace")
        self._resource = Resource.create(
            {
                "service.name": f"headrace-{service}",
                "service.namespace": "headrace",
                "service.instance.id": instance,
            }
        )

    def export(self, spans: Sequence[Span]) -> bool:
        """Send them; False where they could not be sent."""
        made = [self._readable(span) for span in spans]
        return bool(self._exporter.export(made) is self._succeeded)

    def close(self) -> None:
        """Send no more."""
        self._exporter.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
        from opentelemetry.trace.status import Status, StatusCode

        flags = TraceFlags(TraceFlags.SAMPLED)
        parent = None
        if span.parent_id:
            parent = SpanContext(span.trace_id, span.parent_id, is_remote=False, trace_flags=flags)
        return ReadableSpan(
            span.name,
            SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=flags),
            parent,
            self._resource,
            dict(span.attributes),
            kind=SpanKind.SERVER if span.kind == "server" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.start_ns,
            end_time=max(span.end_ns, span.start_ns),
            instrumentation_scope=self._scope,
        )


def missing_extra() -> errors.FailedPrecondition:
    """The refusal to send over OTLP where nothing can."""
    return errors.FailedPrecondition(
        "OTEL_EXTRA_MISSING",
        "--otlp-endpoint needs OpenTelemetry's packages: pip install 'headrace[otel]'",
        facts={"setting": "otlp_endpoint"},
    )


def _exporter(settings: OtlpSettings) -> Any:
    """The exporter of the form that the settings name. Raises FailedPrecondition."""
    endpoint = settings.otlp_endpoint
    try:
        if settings.otlp_protocol == "http":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
                OTLPSpanExporter as HttpExporter,
            )

            return HttpExporter(
                endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=TIMEOUT_SECONDS
            )
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter as GrpcExporter,
        )
    except ImportError as error:
        raise missing_extra() from error
    return GrpcExporter(
        endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=TIMEOUT_SECONDS
    )
