"""Sets up traces: which requests from the start, and the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from headrace_inference.adapters.trace_file import open_trace_file
from headrace_inference.domain.extensions.forwarded_headers import HeaderPattern
from headrace_inference.domain.extensions.trace_settings import TraceSettings, levels
from headrace_inference.domain.extensions.tracing import Tracer
from headrace_inference.settings import Settings


@contextmanager
def open_tracer(settings: Settings) -> Iterator[Tracer]:
    """The tracer, whose file is closed at the end. Raises InvalidArgument for levels that are none."""
    initial = TraceSettings(levels("trace_level", settings.trace_level), settings.trace_rate)
    grpc_headers = HeaderPattern(settings.grpc_header_forward_pattern)
    http_headers = HeaderPattern(settings.http_header_forward_pattern)
    with ExitStack() as stack:
        log, path = None, ""
        if settings.trace_file is not None:
            log = stack.enter_context(open_trace_file(settings.trace_file))
            path = str(settings.trace_file)
        yield Tracer(log, path, initial, grpc_headers, http_headers)
