"""The trace that a caller is in, where the program uses OpenTelemetry: its calls go on with that trace."""

from __future__ import annotations

import sys

from headrace.tracing.context import HEADER, TraceContext

_API = "opentelemetry.trace"


def trace_metadata() -> tuple[tuple[str, str], ...]:
    """The present span as metadata; nothing where there is none, or nothing that makes spans."""
    api = sys.modules.get(_API)
    if api is None:
        return ()
    present = api.get_current_span().get_span_context()
    if not present.is_valid:
        return ()
    context = TraceContext(present.trace_id, present.span_id, present.trace_flags.sampled)
    return ((HEADER, context.header()),)
