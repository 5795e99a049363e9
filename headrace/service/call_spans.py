"""Spans of the calls of a grpc.aio server."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from headrace.tracing.context import Sampler, TraceContext, new_span_id
from headrace.tracing.otlp import open_spans
from headrace.tracing.settings import OtlpSettings
from headrace.tracing.spans import Attribute, Span, SpanQueue


class CallSpans:
    """Makes a span of each call that is traced: as its caller says, or of a share of those that do not.

    Streams may last for ever, so of them only those are traced whose callers say so.
    """

    def __init__(self, queue: SpanQueue, share: float) -> None:
        self._queue = queue
        self._bits = random.Random()  # noqa: S311  # ids of spans are no secrets
        self._calls, self._streams = Sampler(share), Sampler(0.0)

    def begin(self, kind: str, service: str, method: str, context: Any) -> OpenSpan | None:
        """Begin the span of a call; None where it has none."""
        sampler = self._calls if kind == "unary" else self._streams
        place = sampler.context_of(context.invocation_metadata() or ())
        if place is None:
            return None
        return OpenSpan(self._queue, place, new_span_id(self._bits), (service, method))


class OpenSpan:
    """The span of a call that has not ended."""

    __slots__ = ("_began_ns", "_id", "_names", "_place", "_queue")

    def __init__(
        self, queue: SpanQueue, place: TraceContext, span_id: int, names: tuple[str, str]
    ) -> None:
        self._queue = queue
        self._place = place
        self._id = span_id
        self._names = names
        self._began_ns = time.time_ns()

    def end(self, code: grpc.StatusCode, reason: str) -> None:
        """The call ended with this status, and with an error for this reason."""
        service, method = self._names
        attributes: dict[str, Attribute] = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "rpc.grpc.status_code": int(code.value[0]),
        }
        failed = code is not grpc.StatusCode.OK
        if failed:
            attributes["error.type"] = reason or code.name
        span = Span(
            f"{service}/{method}",
            self._place.trace_id,
            self._id,
            self._place.span_id,
            self._began_ns,
            time.time_ns(),
            "server",
            attributes,
            (reason or code.name) if failed else "",
        )
        self._queue.offer(lambda: (span,))


@contextmanager
def open_call_spans(settings: OtlpSettings, service: str) -> Iterator[CallSpans | None]:
    """The spans of a service's calls while inside; None where the settings name no collector.

    Raises FailedPrecondition (OTEL_EXTRA_MISSING).
    """
    with open_spans(settings, service, f"{socket.gethostname()}:{os.getpid()}") as queue:
        yield CallSpans(queue, settings.otlp_trace_share) if queue is not None else None
