"""Traces of single requests: when each stage began, and what the tensors were.

A traced request has a sink of its own around the one that answers it; all others are not touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from headrace.errors import FailedPrecondition, HeadraceError
from headrace_inference.domain.extensions.forwarded_headers import HeaderPattern
from headrace_inference.domain.extensions.trace_settings import (
    TENSORS,
    TIMESTAMPS,
    Changes,
    TraceSettings,
)
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.batching import assemble
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    Encoded,
    EncodedResponses,
    InferenceRequest,
    ResponsePart,
    ResponseSink,
)

MAX_ELEMENTS = 4096
"""Of a tensor in a trace; the rest is left out, and the trace says so."""

Trace = dict[str, object]
Write = Callable[[Trace, int], None]
"""Keeps a trace; the number is the settings' `log_frequency`."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """Id and parameters of a request, for its trace."""

    id: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


class _Rule:
    """Settings, and how far they got: requests seen, traces left."""

    def __init__(self, settings: TraceSettings) -> None:
        self.settings = settings
        self._seen = 0
        self._left = settings.count

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


class Tracer:
    """Says which requests are traced. Without a way to write traces none is."""

    def __init__(
        self,
        write: Write | None = None,
        file: str = "",
        initial: TraceSettings | None = None,
        grpc_headers: HeaderPattern | None = None,
        http_headers: HeaderPattern | None = None,
    ) -> None:
        self.grpc_headers = grpc_headers or HeaderPattern()
        self.http_headers = http_headers or HeaderPattern()
        self._write = write
        self._file = file
        self._initial = initial or TraceSettings()
        self._lock = threading.Lock()
        self._all = _Rule(self._initial)
        self._models: dict[str, _Rule] = {}
        self.on = write is not None and bool(self._initial.levels)
        """True while any request may be traced; fronts look at it once for a burst."""

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
        if settings.levels and self._write is None:
            raise FailedPrecondition(
                "TRACE_FILE_MISSING",
                "there is no file for traces; start the replica with --trace-file=PATH",
                facts={"setting": "trace_file"},
            )
        with self._lock:
            if not model:
                self._all = _Rule(settings)
            elif any(changes.values()):
                self._models[model] = _Rule(settings)
            else:
                self._models.pop(model, None)
            rules = (self._all, *self._models.values())
            self.on = any(rule.settings.levels for rule in rules)

    def forwarded(
        self, wire: Literal["grpc", "http"], metadata: Iterable[tuple[str, str | bytes]]
    ) -> dict[str, str]:
        """Return what a trace has of the metadata or headers that came with a request."""
        return (self.grpc_headers if wire == "grpc" else self.http_headers).forwarded(metadata)

    def consider(
        self, served: AnsweringVersion, pending: InferenceRequest, facts: Callable[[], RequestFacts]
    ) -> None:
        """Trace this request if it is its turn; `facts` is called only then."""
        with self._lock:
            rule = self._models.get(served.record.model, self._all)
            takes = rule.takes_next()
        if takes and self._write is not None:
            pending.sink = TracedSink(pending.sink, served, rule.settings, facts(), self._write)


class TracedSink:
    """Around the sink of one traced request: has it answered, then writes its trace."""

    def __init__(
        self,
        inner: ResponseSink,
        served: AnsweringVersion,
        settings: TraceSettings,
        facts: RequestFacts,
        write: Write,
    ) -> None:
        self._inner = inner
        self._served = served
        self._settings = settings
        self._facts = facts
        self._write = write

    @property
    def takes_parts(self) -> bool:
        """As the sink within."""
        return self._inner.takes_parts

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Make the answer to the request, and the trace of how it went."""
        answers, refused = self._inner.encode(version, result, indexes)
        traces = [
            self._trace_of(version, result, index)
            for index in indexes
            if index not in refused  # those are traced when they fail
            and result.part is not ResponsePart.PARTIAL  # and these when they end
        ]
        return (answers, traces), refused

    def deliver(self, answers: tuple[Encoded, Sequence[Trace]]) -> Collection[InferenceRequest]:
        """Write the trace and send the answer."""
        inner, traces = answers
        for trace in traces:
            self._write(trace, self._settings.log_frequency)
        return self._inner.deliver(inner)

    def _trace_of(self, version: AnsweringVersion, result: BatchResult, index: int) -> Trace:
        request = result.requests[index]
        trace = self._trace(request)
        if TIMESTAMPS in self._settings.levels:
            trace["timestamps"] = self._timestamps(request, result.times_ns)
        if TENSORS in self._settings.levels and result.part is ResponsePart.WHOLE:
            trace |= _tensors(version, request, result.outputs_of(index))
        return trace

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer the request with an error, and trace that."""
        self._inner.fail(request, error)
        trace = self._trace(request) | {"error": error.reason, "message": error.message}
        if TIMESTAMPS in self._settings.levels:
            trace["timestamps"] = self._timestamps(request, ())
        self._write(trace, self._settings.log_frequency)

    def _trace(self, request: InferenceRequest) -> Trace:
        return {
            "at": self._served.clock.wall_ns() / 1e9,
            "model_name": self._served.record.model,
            "model_version": self._served.version_text,
            "request_id": self._facts.id,
            "parameters": dict(self._facts.parameters),
            "route": request.route,
            "rows": request.plan.rows,
        }

    def _timestamps(self, request: InferenceRequest, times_ns: Sequence[int]) -> list[Trace]:
        """Name the stages as Triton does, on the monotonic clock."""
        received = request.received_ns
        stages = [("REQUEST_START", received), ("QUEUE_START", received)]
        stages += zip(_STAGES, times_ns, strict=False)
        stages.append(("REQUEST_END", self._served.clock.monotonic_ns()))
        return [{"name": name, "ns": at} for name, at in stages]


_STAGES = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START")


def _tensors(
    served: AnsweringVersion, request: InferenceRequest, outputs: Sequence[Array]
) -> Trace:
    signature = served.record.signature
    given = [array for array in assemble([request]) if array is not None]
    inputs = zip(signature.inputs_with(request.plan.optional), given, strict=True)
    chosen = [signature.outputs[place] for place in request.plan.outputs]
    return {
        "inputs": [_tensor(spec.name, spec.datatype, array) for spec, array in inputs],
        "outputs": [
            _tensor(spec.name, spec.datatype, array)
            for spec, array in zip(chosen, outputs, strict=True)
        ],
    }


def _tensor(name: str, datatype: str, array: Array) -> Trace:
    flat = array.ravel()[:MAX_ELEMENTS]
    if flat.dtype.kind not in "biuOU":
        flat = flat.astype(np.float64)  # FP16 and BF16 have no JSON form of their own
    return {
        "name": name,
        "datatype": str(datatype),
        "shape": list(array.shape),
        "data": [_plain(value) for value in flat.tolist()],
        "left_out": array.size - flat.size,
    }


def _plain(value: object) -> object:
    """A value that JSON has: not the floats that are not finite, nor bytes."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
