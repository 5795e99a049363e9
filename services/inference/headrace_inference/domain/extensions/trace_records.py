"""What is kept of traced requests until it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headrace.tracing.context import TraceContext
from headrace_inference.domain.scheduling.requests import Array

MAX_ELEMENTS = 4096
"""Of a tensor in a trace; the rest is left out, and the trace says so."""

RECORD_BYTES = 512
"""What a trace without tensors is taken to hold, with an id and parameters of its own."""


@dataclass(slots=True, eq=False)
class RequestFacts:
    """What a trace says of a request that is known before it runs. Requests that are alike may share it.

    `rendered` belongs to whoever writes traces. `context` is where its spans belong; those have it alone.
    """

    model: str
    version: str
    id: str
    parameters: Mapping[str, object]
    route: str
    rows: int
    rendered: str = ""
    context: TraceContext | None = None


@dataclass(frozen=True, slots=True)
class TracedTensor:
    """The first elements of a tensor, and how many are left out."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: Array
    left_out: int


TracedTensors = tuple[Sequence[TracedTensor], Sequence[TracedTensor]]
"""A request's inputs and outputs."""


def kept_tensors(tensors: Iterable[tuple[str, str, Array]]) -> Sequence[TracedTensor]:
    """Copy the first elements of tensors, of which name and datatype are given."""
    return [
        TracedTensor(
            name,
            str(datatype),
            array.shape,
            array.ravel()[:MAX_ELEMENTS].copy(),
            max(0, array.size - MAX_ELEMENTS),
        )
        for name, datatype, array in tensors
    ]


@dataclass(slots=True)
class TracedBatch:
    """Requests that ended together. `times_ns` are those of their run; none where they failed."""

    log_frequency: int
    wall_ns: int
    facts: Sequence[RequestFacts]
    received_ns: Sequence[int]
    times_ns: Sequence[int]
    ended_ns: int
    with_times: bool
    tensors: Sequence[TracedTensors] = field(default=())
    """Those of each request, where they are traced."""
    error: tuple[str, str] | None = None
    """Why they failed: reason and message."""

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        held = len(self.facts) * RECORD_BYTES
        for both in self.tensors:
            held += sum(_size(tensor.elements) for tensors in both for tensor in tensors)
        return held


def _size(elements: Array) -> int:
    if elements.dtype != object:
        return elements.nbytes
    return sum(len(value) for value in elements if isinstance(value, (bytes, str)))


class TraceLog(Protocol):
    """Takes traces, from any thread, and does not make it wait."""

    @property
    def dropped(self) -> int:
        """Count the traces for which there was no room."""

    def keep(self, batch: TracedBatch) -> None:
        """Have these traces written soon, in the order in which they are given."""
