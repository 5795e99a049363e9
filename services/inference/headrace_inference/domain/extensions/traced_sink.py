"""The sink of traced requests: around the one that answers them, it keeps how they went, batch by batch.

All requests that one rule traces share it, so that those of a batch are answered together as ever. What
is kept of a batch is what is at hand; whoever writes the traces makes lines of it later.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.extensions.trace_records import (
    TracedBatch,
    TracedTensors,
    TraceLog,
    kept_tensors,
)
from headrace_inference.domain.extensions.trace_settings import (
    TENSORS,
    TIMESTAMPS,
    TraceSettings,
)
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.batching import assemble
from headrace_inference.domain.scheduling.requests import (
    BatchResult,
    Encoded,
    EncodedResponses,
    InferenceRequest,
    ResponsePart,
    ResponseSink,
)


class TracedSink:
    """Has traced requests answered, then hands what happened to the log."""

    def __init__(
        self, inner: ResponseSink, settings: TraceSettings, clock: Clock, log: TraceLog
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._log = log
        self._frequency = settings.log_frequency
        self._with_times = TIMESTAMPS in settings.levels
        self._with_tensors = TENSORS in settings.levels

    @property
    def takes_parts(self) -> bool:
        """As the sink within."""
        return self._inner.takes_parts

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Make the answers to these requests, and keep how they went."""
        answers, refused = self._inner.encode(version, result, indexes)
        if result.part is ResponsePart.PARTIAL:  # it is traced when it ends
            return (answers, None), refused
        if refused:  # those are traced when they fail
            indexes = [index for index in indexes if index not in refused]
        requests = result.requests
        if len(indexes) != len(requests):
            requests = [requests[index] for index in indexes]
        batch = self._batch(requests, result.times_ns)
        if self._with_tensors and result.part is ResponsePart.WHOLE:
            batch.tensors = [_tensors(version, result, index) for index in indexes]
        return (answers, batch), refused

    def deliver(self, answers: tuple[Encoded, TracedBatch | None]) -> Collection[InferenceRequest]:
        """Send the answers, and hand their traces on."""
        inner, batch = answers
        others = self._inner.deliver(inner)
        if batch is not None:
            self._log.keep(batch)
        return others

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer the request with an error, and trace that."""
        self._inner.fail(request, error)
        batch = self._batch([request], ())
        batch.error = error.reason, error.message
        self._log.keep(batch)

    def _batch(self, requests: Sequence[InferenceRequest], times_ns: Sequence[int]) -> TracedBatch:
        return TracedBatch(
            self._frequency,
            self._clock.wall_ns(),
            [request.traced for request in requests],
            [request.received_ns for request in requests],
            times_ns,
            self._clock.monotonic_ns(),
            self._with_times,
        )


def _tensors(version: AnsweringVersion, result: BatchResult, index: int) -> TracedTensors:
    """Copy the beginnings of a request's tensors: what they lie in is not kept for a trace."""
    request = result.requests[index]
    signature = version.record.signature
    given = [array for array in assemble([request]) if array is not None]
    inputs = zip(signature.inputs_with(request.plan.optional), given, strict=True)
    chosen = [signature.outputs[place] for place in request.plan.outputs]
    outputs = zip(chosen, result.outputs_of(index), strict=True)
    return (
        kept_tensors((spec.name, spec.datatype, array) for spec, array in inputs),
        kept_tensors((spec.name, spec.datatype, array) for spec, array in outputs),
    )
