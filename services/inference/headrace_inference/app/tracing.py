"""Sets up traces: which requests from the start, the file, and the way of spans to a collector."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from headrace.security.access import OPEN_ACCESS, Access
from headrace.tracing.context import Sampler
from headrace.tracing.otlp import open_spans
from headrace_inference.adapters.span_log import SpanLog
from headrace_inference.adapters.trace_exemplars import TraceExemplars
from headrace_inference.adapters.trace_file import open_trace_file
from headrace_inference.domain.extensions.forwarded_headers import HeaderPattern
from headrace_inference.domain.extensions.trace_settings import TraceSettings, levels
from headrace_inference.domain.extensions.tracing import SpanRule, Tracer
from headrace_inference.settings import Settings

_IDS_OF_A_PROCESS = 30
"""Bits: a billion traces; with the largest process id, numbers that JSON readers hold exactly."""


@contextmanager
def open_tracer(
    settings: Settings, access: Access = OPEN_ACCESS, exemplars: TraceExemplars | None = None
) -> Iterator[Tracer]:
    """The tracer, whose file is closed at the end. Raises InvalidArgument for levels that are none.

    What proves to the `access` who calls is in no trace. Some traced requests are kept as `exemplars`.
    """
    initial = TraceSettings(levels("trace_level", settings.trace_level), settings.trace_rate)
    grpc_headers, http_headers = (
        HeaderPattern(pattern, lambda: access.header_keys.headers)
        for pattern in (settings.grpc_header_forward_pattern, settings.http_header_forward_pattern)
    )
    with ExitStack() as stack:
        log, path, rule = None, "", None
        if spans := stack.enter_context(open_spans(settings, "inference", settings.replica_id)):
            rule = SpanRule(Sampler(settings.otlp_trace_share), SpanLog(spans, exemplars))
        if settings.trace_file is not None:
            log = stack.enter_context(open_trace_file(settings.trace_file, _first_id(settings)))
            path = str(settings.trace_file)
        yield Tracer(log, path, initial, grpc_headers, http_headers, rule)


def _first_id(settings: Settings) -> int:
    """Return 0 for a file of this process alone, else a number from which no other process counts.

    Readers put the lines of a request together by its id: replicas that share a file, and lives of a
    replica that go on with one, must not count alike.
    """
    path: Path | None = settings.trace_file
    is_new = path is None or not path.exists()
    return 0 if is_new and settings.shared_folder is None else os.getpid() << _IDS_OF_A_PROCESS
