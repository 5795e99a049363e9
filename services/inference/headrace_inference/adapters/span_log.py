"""Traced requests as spans: the request, its wait in the queue, its batch, and the run in that."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from functools import partial

from headrace.monitor.v1 import telemetry_pb2
from headrace.tracing.context import new_span_id
from headrace.tracing.spans import Attribute, Span, SpanQueue
from headrace_inference.adapters.trace_exemplars import TraceExemplars
from headrace_inference.domain.extensions.trace_records import RequestFacts, TracedBatch


class SpanLog:
    """Hands traced requests to the queue of spans, which makes spans of them on its own thread."""

    def __init__(self, queue: SpanQueue, exemplars: TraceExemplars | None = None) -> None:
        self._queue = queue
        self._exemplars = exemplars
        self._bits = random.Random()  # noqa: S311  # ids of spans are no secrets

    @property
    def dropped(self) -> int:
        """Count what could not be sent."""
        return self._queue.dropped

    def keep(self, batch: TracedBatch) -> None:
        """Have spans of these requests sent soon."""
        self._queue.offer(partial(self._spans, batch))

    def _spans(self, batch: TracedBatch) -> Iterable[Span]:
        for facts, received_ns in zip(batch.facts, batch.received_ns, strict=True):
            if facts.context is not None:
                yield from self._spans_of(batch, facts, received_ns)

    def _spans_of(
        self, batch: TracedBatch, facts: RequestFacts, received_ns: int
    ) -> Iterator[Span]:
        assert facts.context is not None, "only requests that have a place in a trace"
        to_wall_ns = batch.wall_ns - batch.ended_ns
        trace_id, request_id = facts.context.trace_id, new_span_id(self._bits)

        def inner(name: str, parent_id: int, start_ns: int, end_ns: int) -> Span:
            own_id = new_span_id(self._bits)
            times = start_ns + to_wall_ns, end_ns + to_wall_ns
            return Span(name, trace_id, own_id, parent_id, *times)

        request = Span(
            f"infer {facts.model}",
            trace_id,
            request_id,
            facts.context.span_id,
            received_ns + to_wall_ns,
            batch.wall_ns,
            "server",
            _attributes(batch, facts),
            ": ".join(batch.error) if batch.error else "",
        )
        yield request
        if self._exemplars is not None and batch.error is None:
            self._exemplars.add(_exemplar(request, facts))
        if len(batch.times_ns) < len(("began", "assembled", "ran")):
            return
        began_ns, assembled_ns, ran_ns = batch.times_ns[:3]
        yield inner("queue", request_id, received_ns, max(began_ns, received_ns))
        together = inner("batch", request_id, began_ns, batch.ended_ns)
        together.attributes = {"headrace.batch.requests": len(batch.facts)}
        yield together
        yield inner("run", together.span_id, assembled_ns, ran_ns)


def _exemplar(request: Span, facts: RequestFacts) -> telemetry_pb2.TraceExemplar:
    exemplar = telemetry_pb2.TraceExemplar(
        model=facts.model,
        version=int(facts.version),
        trace_id=request.trace_id.to_bytes(16),
        span_id=request.span_id.to_bytes(8),
        duration_ns=max(0, request.end_ns - request.start_ns),
    )
    exemplar.time.FromNanoseconds(request.end_ns)
    return exemplar


def _attributes(batch: TracedBatch, facts: RequestFacts) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {
        "headrace.model": facts.model,
        "headrace.version": facts.version,
        "headrace.route": facts.route,
        "headrace.rows": facts.rows,
    }
    if facts.id:
        found["headrace.request_id"] = facts.id
    if batch.error:
        found["error.type"] = batch.error[0]
    return found
