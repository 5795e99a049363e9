"""Decides which requests are traced; a traced request has a sink around the one that answers it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from headrace.errors import FailedPrecondition, HeadraceError
from headrace.tracing.context import Sampler, TraceContext
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.extensions.forwarded_headers import HeaderPattern
from headrace_inference.domain.extensions.trace_records import (
    RequestFacts,
    TracedBatch,
    TraceLog,
)
from headrace_inference.domain.extensions.trace_settings import (
    TIMESTAMPS,
    Changes,
    TraceSettings,
)
from headrace_inference.domain.extensions.traced_sink import TracedSink
from headrace_inference.domain.scheduling.requests import InferenceRequest, ResponseSink

Headers = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class CallTrace:
    """A call of text that ended: when it came, the times of its run (none where it failed), its error."""

    facts: RequestFacts
    received_ns: int
    times_ns: Sequence[int] = ()
    error: HeadraceError | None = None


class Rule:
    """Settings, how far they got (requests seen, traces left), and the sink of those that are traced."""

    def __init__(self, settings: TraceSettings) -> None:
        self.settings = settings
        self.takes_all = bool(settings.levels) and settings.rate == 1 and settings.count < 0
        self._seen = 0
        self._left = settings.count
        self._around: tuple[ResponseSink, TracedSink] | None = None

    def takes_next(self) -> bool:
        """Count a request, and tell whether it is traced."""
        if not self.settings.levels or self._left == 0:
            return False
        self._seen += 1
        if self._seen % self.settings.rate:
            return False
        self._left -= self._left > 0
        return True

    def shown(self) -> TraceSettings:
        """The settings, with the traces that are left."""
        return replace(self.settings, count=self._left)

    def sink_around(self, inner: ResponseSink, clock: Clock, log: TraceLog) -> TracedSink:
        """The sink of traced requests that `inner` answers: mostly the last one, so that they share it."""
        around = self._around
        if around is None or around[0] is not inner:
            around = self._around = inner, TracedSink(inner, self.settings, clock, log)
        return around[1]


class SpanRule:
    """Which calls have spans, and the sink of those."""

    def __init__(self, sampler: Sampler, log: TraceLog) -> None:
        self.sampler = sampler
        self.log = log
        self._rule = Rule(TraceSettings((TIMESTAMPS,)))

    def sink_around(self, inner: ResponseSink, clock: Clock) -> TracedSink:
        """The sink of requests that `inner` answers and that have spans."""
        return self._rule.sink_around(inner, clock, self.log)


class Tracer:
    """Says which requests are traced, to a file, as spans, or both. Without a log of traces none is."""

    def __init__(
        self,
        log: TraceLog | None = None,
        file: str = "",
        initial: TraceSettings | None = None,
        grpc_headers: HeaderPattern | None = None,
        http_headers: HeaderPattern | None = None,
        spans: SpanRule | None = None,
    ) -> None:
        self._spans = spans
        self.grpc_headers = grpc_headers or HeaderPattern()
        self.http_headers = http_headers or HeaderPattern()
        self._log = log
        self._file = file
        self._initial = initial or TraceSettings()
        self._lock = threading.Lock()
        self._all = Rule(self._initial)
        self._models: dict[str, Rule] = {}
        self.on = spans is not None or (log is not None and bool(self._initial.levels))
        """True while any request may be traced; fronts look at it once for a burst."""

    @property
    def forwards_headers(self) -> bool:
        """Tell whether traces may have headers of their requests."""
        return self.grpc_headers.matches_any or self.http_headers.matches_any

    @property
    def dropped(self) -> int:
        """Count the traces that were dropped because the file did not keep up."""
        return self._log.dropped if self._log is not None else 0

    def settings(self, model: str) -> dict[str, list[str]]:
        """The settings of a model, or of all that have none of their own, as the protocol shows them."""
        return self._models.get(model, self._all).shown().shown(self._file)

    def update(self, model: str, changes: Changes) -> None:
        """Change the settings of a model, or of all. What is taken back of a model's is as for all.

        Raises InvalidArgument, Unimplemented, or FailedPrecondition (TRACE_FILE_MISSING).
        """
        former = self._all.settings if model else self._initial
        rule = self._models.get(model, self._all)
        settings = rule.settings.changed(changes, former)
        if settings.levels and self._log is None:
            raise FailedPrecondition(
                "TRACE_FILE_MISSING",
                "there is no file for traces; start the replica with --trace-file=PATH",
                facts={"setting": "trace_file"},
            )
        with self._lock:
            if not model:
                self._all = Rule(settings)
            elif any(changes.values()):
                self._models[model] = Rule(settings)
            else:
                self._models.pop(model, None)
            rules = (self._all, *self._models.values())
            self.on = self._spans is not None or any(rule.settings.levels for rule in rules)

    def forwarded(
        self, wire: Literal["grpc", "http"], metadata: Iterable[tuple[str, str | bytes]]
    ) -> dict[str, str]:
        """Return what a trace has of the metadata or headers that came with a request."""
        return (self.grpc_headers if wire == "grpc" else self.http_headers).forwarded(metadata)

    def context_of(self, headers: Headers) -> TraceContext | None:
        """The place in a trace where the spans of a call with these headers belong; None: it has none."""
        return self._spans.sampler.context_of(headers) if self._spans is not None else None

    def rule_for_next(self, model: str) -> Rule | None:
        """Count a request of a model, and return by which rule it is traced; None: it is not."""
        rule = self._models.get(model, self._all)
        if rule.takes_all:
            return rule
        with self._lock:
            return rule if rule.takes_next() else None

    def trace(
        self, rule: Rule | None, request: InferenceRequest, facts: RequestFacts, clock: Clock
    ) -> None:
        """Have a request traced that is not queued yet: by a rule, and as spans where it has a context."""
        request.traced = facts
        if rule is not None and self._log is not None:
            request.sink = rule.sink_around(request.sink, clock, self._log)
        if facts.context is not None and self._spans is not None:
            request.sink = self._spans.sink_around(request.sink, clock)

    def keep(self, rule: Rule | None, call: CallTrace, clock: Clock) -> None:
        """Have a call of text traced that has ended: by a rule, and as spans where it has a context."""
        if rule is not None and self._log is not None:
            self._log.keep(_ended(call, rule.settings, clock))
        if call.facts.context is not None and self._spans is not None:
            self._spans.log.keep(_ended(call, TraceSettings((TIMESTAMPS,)), clock))


def _ended(call: CallTrace, settings: TraceSettings, clock: Clock) -> TracedBatch:
    batch = TracedBatch(
        settings.log_frequency,
        clock.wall_ns(),
        [call.facts],
        [call.received_ns],
        call.times_ns,
        clock.monotonic_ns(),
        TIMESTAMPS in settings.levels,
    )
    if call.error is not None:
        batch.error = call.error.reason, call.error.message
    return batch
