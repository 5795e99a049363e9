"""Copies what is logged of requests on their way; the rest is done later, by the log's own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from headrace.errors import HeadraceError
from headrace.state.records import TensorSpec, VersionRecord
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.payloads.choosing import PayloadChoice
from headrace_inference.domain.payloads.fields import AllowedFields, Place
from headrace_inference.domain.sampling.taken_rows import Said, said_by
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    InferenceRequest,
    TensorData,
)

MAX_WAITING_BYTES = 32 * 2**20
"""Of what was copied and waits for the thread; more is dropped, and counted."""

_RECORD_BYTES = 1024
"""About what a request takes beside its tensors."""


class TakenTensor(NamedTuple):
    """A tensor; no values: they may not be logged, or are too many."""

    place: Place
    name: str
    datatype: str
    shape: Sequence[int]
    values: Array | None = None
    left: str = ""

    @property
    def size_bytes(self) -> int:
        """About how many bytes its values take."""
        if self.values is None:
            return 0
        if self.values.dtype != object:
            return self.values.nbytes
        return sum(len(value) + 64 for value in self.values.ravel())


class TakenText(NamedTuple):
    """A generation: its tokens become a text later."""

    prompt: Sequence[int]
    answers: Sequence[str]
    decode: Callable[[Sequence[int]], str]


class TakenPayload(NamedTuple):
    """What is logged of a request."""

    record: VersionRecord
    said: Said
    answered_ns: int
    """The wall clock's nanoseconds."""
    latency_ns: int
    error: str = ""
    tensors: Sequence[TakenTensor] = ()
    text: TakenText | None = None

    @property
    def size_bytes(self) -> int:
        """About how many bytes it takes."""
        text = self.text
        texts = 0 if text is None else 8 * len(text.prompt) + sum(map(len, text.answers))
        return _RECORD_BYTES + texts + sum(tensor.size_bytes for tensor in self.tensors)


class PayloadTaker:
    """Collects what the versions of a replica log, from any thread, until it is drained."""

    def __init__(
        self, clock: Clock, choice: PayloadChoice, fields: AllowedFields, max_values: int
    ) -> None:
        self.clock, self.choice, self.fields, self.max_values = clock, choice, fields, max_values
        self._waiting: list[TakenPayload] = []
        self._bytes = 0
        self._dropped = 0
        self._lock = threading.Lock()

    @property
    def dropped(self) -> int:
        """Return how many requests were chosen and are not logged, as there was no room."""
        return self._dropped + self.choice.left_out

    def add(self, taken: TakenPayload) -> None:
        """Keep it for the thread, if there is room."""
        size = taken.size_bytes
        with self._lock:
            if self._bytes + size > MAX_WAITING_BYTES:
                self._dropped += 1
                return
            self._bytes += size
            self._waiting.append(taken)

    def drain(self) -> list[TakenPayload]:
        """What came since this was last called."""
        with self._lock:
            drained, self._waiting, self._bytes = self._waiting, [], 0
        return drained

    def of(self, record: VersionRecord) -> VersionPayloads:
        """Return what takes of one version."""
        return VersionPayloads(self, record)


class VersionPayloads:
    """Takes what is logged of one version."""

    def __init__(self, taker: PayloadTaker, record: VersionRecord) -> None:
        self._taker, self._record, self._clock = taker, record, taker.clock
        signature = record.signature
        self._inputs: Sequence[TensorSpec] = (*signature.inputs, *signature.optional_inputs)
        self._outputs: Sequence[TensorSpec] = signature.outputs

    def take(
        self, result: BatchResult, refused: Container[int]
    ) -> dict[InferenceRequest, TakenPayload]:
        """Take requests of a run but for the refused; answers may lie in callers' memory once delivered.

        They are logged when they are added.
        """
        choice, first_rows = self._taker.choice, result.first_rows
        return {
            request: self._taken(result, index, request)
            for index, request in enumerate(result.requests)
            if index not in refused
            and choice.chooses(request.asked, first_rows[index + 1] - first_rows[index])
        }

    def add(self, taken: Iterable[TakenPayload]) -> None:
        """Log those that were answered."""
        for one in taken:
            self._taker.add(one)

    def take_failed(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Take a request that a version had accepted, and that was answered with an error."""
        if not self._taker.choice.chooses(request.asked, request.plan.rows):
            return
        tensors = self._from_contents(request)
        self._taker.add(self._payload(request, tensors, error.reason))

    def _taken(self, result: BatchResult, index: int, request: InferenceRequest) -> TakenPayload:
        rows = slice(result.first_rows[index], result.first_rows[index + 1])
        is_all = len(result.requests) == 1
        if result.inputs:
            inputs = [
                self._copied("input", spec, array if is_all else array[rows])
                for spec, array in zip(self._inputs, result.inputs, strict=False)
                if array is not None
            ]
        else:
            inputs = self._from_contents(request)
        outputs = [
            self._copied("output", self._outputs[place], array)
            for place, array in zip(request.plan.outputs, result.outputs_of(index), strict=False)
        ]
        return self._payload(request, [*inputs, *outputs], "")

    def _payload(
        self, request: InferenceRequest, tensors: Sequence[TakenTensor], error: str
    ) -> TakenPayload:
        return TakenPayload(
            self._record,
            said_by(request.route, request.asked),
            self._clock.wall_ns(),
            self._clock.monotonic_ns() - request.received_ns,
            error,
            tensors,
        )

    def _from_contents(self, request: InferenceRequest) -> list[TakenTensor]:
        """The inputs of a request that reached no run."""
        plan = request.plan
        specs = self._record.signature.inputs_with(plan.optional)
        return [
            self._content(spec, part, dtype, shape)
            for spec, part, dtype, shape in zip(
                specs, request.contents, plan.dtypes, plan.shapes, strict=False
            )
        ]

    def _content(
        self,
        spec: TensorSpec,
        part: TensorData,
        dtype: np.dtype[np.generic] | None,
        shape: Sequence[int],
    ) -> TakenTensor:
        if isinstance(part, np.ndarray):
            return self._copied("input", spec, part)
        if dtype is None:
            return TakenTensor("input", spec.name, spec.datatype, shape, None, "too large")
        return self._copied("input", spec, np.frombuffer(part, dtype).reshape(shape))

    def _copied(self, place: Place, spec: TensorSpec, array: Array) -> TakenTensor:
        values, left = None, ""
        if not self._taker.fields.has(place, spec.name):
            left = "not allowed"
        elif array.size > self._taker.max_values:
            left = "too large"
        else:
            values = array.copy()
        return TakenTensor(place, spec.name, spec.datatype, array.shape, values, left)
