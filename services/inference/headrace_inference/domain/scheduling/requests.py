"""A request on its way: what it asks of a version, and whom to tell the outcome."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from headrace.errors import HeadraceError
from headrace.security.credentials import PeerCertificate
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion

Array = npt.NDArray[Any]
Reply = Any
"""Whatever a sink needs to answer a request: it alone knows what that is."""
Traced = Any
"""What the sink of traced requests knows of one before it runs: that sink alone reads it."""
Limited = Any
"""What counts the requests of a caller with limits: those who admit them alone know what it is."""
Encoded = Any
"""Responses as their sink made them: it alone knows what they are."""
TensorData = bytes | memoryview | Array
"""One input's values: raw little-endian bytes of a fixed-size datatype, or an array."""


Parameter = bool | float | str | None
"""The value of a request's parameter."""


class WithParameters(Protocol):
    """Has the parameters of a request."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""


class Asked(Protocol):
    """A request as its wire knows it, beside its tensors; read only of those that are sampled."""

    @property
    def id_text(self) -> str:
        """Its id, '' where it has none."""

    @property
    def header(self) -> WithParameters:
        """Return what has its parameters."""

    @property
    def metadata(self) -> Iterable[tuple[str, str | bytes]]:
        """The headers that its caller sent beside it."""

    @property
    def certificate(self) -> PeerCertificate | None:
        """The client certificate of its connection, where one was verified."""


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """Name, datatype and shape of an input, as the request says, before anybody checked them."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SharedMemorySlice:
    """A stretch of a region of shared memory: where an input's bytes are, or an output's are to go."""

    region: str
    byte_size: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Asks for an output as its best `classes` (0: as its values), in the answer or in a window."""

    classes: int = 0
    window: SharedMemorySlice | None = None


BACKGROUND = -1
"""The priority of requests that run when no others wait, whatever levels their version has."""


@dataclass(frozen=True, slots=True)
class Options:
    """Asks for more than inputs and outputs; most requests ask for nothing.

    `priority` 0 is the version's default, 1 the highest, and BACKGROUND behind all. `timeout_us` is how
    long the request may wait in the queue, 0 as long as the version allows. `output_options` are those of
    the outputs asked for by name, in that order; None where all are wanted as plain values.
    """

    priority: int = 0
    timeout_us: int = 0
    output_options: tuple[OutputOptions, ...] | None = None


NO_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """A request that passed the checks, as one version runs it.

    `order[i]` is the place in the request of the version's input i, and `shapes[i]` its whole shape.
    `dtypes[i]` is None for BYTES, and `sizes[i]` is then None too, else the bytes that raw contents must
    have. Requests with equal `batch_key` may run together; None runs alone. `outputs` are the places of
    the outputs asked for, in the order asked; `priority`, `timeout_us` and `output_options` are those of
    the request. `optional` are the places, among the version's optional inputs, of those that the request
    brings: they follow the required ones in all of these.
    """

    order: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[np.generic] | None, ...]
    sizes: tuple[int | None, ...]
    rows: int
    batch_key: object
    outputs: tuple[int, ...]
    priority: int = 0
    timeout_us: int = 0
    output_options: tuple[OutputOptions, ...] | None = None
    optional: tuple[int, ...] = ()
    parameters: Mapping[str, Parameter] | None = None
    """Those of the request, where its version looks at them."""


SHADOW = "shadow"
"""The route of a copy, whose answer nobody waits for."""

CLOCKS_DIFFER_NS = 20_000_000
"""A caller's clock runs ahead of ours by what its request took to get here."""


def is_late(deadline_ns: int, now_ns: int) -> bool:
    """Tell whether a caller who leaves now leaves because its time is up."""
    return now_ns >= deadline_ns - CLOCKS_DIFFER_NS


class InferenceRequest:
    """A request in a queue or a batch. `contents` are in the order of the version's inputs.

    `reply` is the sink's own: what it needs to answer this request.
    """

    __slots__ = (
        "asked",
        "cancelled",
        "contents",
        "deadline_ns",
        "limiter",
        "plan",
        "received_ns",
        "reply",
        "route",
        "sink",
        "statistics",
        "traced",
    )

    traced: Traced
    """What its trace says of it; there is none where it is not traced."""

    limiter: Limited
    """What its caller may ask for; there is none where that has no limits."""

    def __init__(
        self,
        plan: RequestPlan,
        contents: Sequence[TensorData],
        route: str,
        received_ns: int,
        deadline_ns: int | None,
        statistics: ErrorCounter,
        sink: ResponseSink,
        reply: Reply,
        asked: Asked | None = None,
    ) -> None:
        self.plan = plan
        self.contents = contents
        self.route = route
        self.received_ns = received_ns
        self.deadline_ns = deadline_ns
        self.statistics = statistics
        self.sink = sink
        self.reply = reply
        self.asked = asked
        self.cancelled = False

    def leave(self, now_ns: int) -> None:
        """Its caller waits no longer: of its own accord, or because its time is up."""
        if self.deadline_ns is not None and is_late(self.deadline_ns, now_ns):
            self.deadline_ns = min(self.deadline_ns, now_ns - 1)
        else:
            self.cancelled = True

    def fail(self, error: HeadraceError) -> None:
        """Have its sink tell the error, and count it; it is logged before, if that is its turn."""
        log = self.statistics.failure_log
        if log is not None:
            log(self, error)
        self.sink.fail(self, error)


FailureLog = Callable[[InferenceRequest, HeadraceError], None]
"""Takes a request that is about to be answered with an error."""


class ToldApart(Protocol):
    """A request of which is known by which route it came, and what it asked."""

    @property
    def route(self) -> str:
        """The route."""

    @property
    def asked(self) -> Asked | None:
        """The request as its wire knows it."""


class ErrorCounter(Protocol):
    """Counts requests that were answered with an error."""

    lock: AbstractContextManager[object]
    failure_log: FailureLog | None
    """Who logs requests that fail; mostly nobody."""

    def record_error(self, reason: str, duration_ns: int, of: ToldApart | None = None) -> None:
        """One more, with this reason, after this long."""


class ResponsePart(enum.Enum):
    """The place of a response among those to its request."""

    WHOLE = "the only response"
    PARTIAL = "one of several; more follow, or the end"
    END = "no response: the end of several"


@dataclass(slots=True)
class BatchResult:
    """The outputs of one run, of the whole batch, in the order of the version's outputs.

    `first_rows[k]` is where request k's rows begin, and the last of them is how many rows the run got. The
    outputs of several requests have exactly so many rows; a request that ran alone has all of every output,
    whatever its shape.
    """

    part: ClassVar[ResponsePart] = ResponsePart.WHOLE
    requests: Sequence[InferenceRequest]
    outputs: Sequence[Array]
    first_rows: Sequence[int]
    times_ns: tuple[int, int, int] = (0, 0, 0)
    """The times when the batch was begun, its inputs were joined, and the run had ended."""
    inputs: Sequence[Array | None] = ()
    """Those of the run, as its outputs, with None for optional ones that are left out; for who samples."""

    def outputs_of(self, index: int) -> list[Array]:
        """The outputs that request `index` asked for, in the order asked, without copying."""
        request = self.requests[index]
        chosen = [self.outputs[place] for place in request.plan.outputs]
        if len(self.requests) == 1:
            return chosen
        start = self.first_rows[index]
        return [output[start : start + request.plan.rows] for output in chosen]


@dataclass(slots=True)
class PartialResult(BatchResult):
    """One of several responses to a request that runs alone."""

    part: ClassVar[ResponsePart] = ResponsePart.PARTIAL


@dataclass(slots=True)
class StreamEnd(BatchResult):
    """The end of a request that got several responses; it is what counts."""

    part: ClassVar[ResponsePart] = ResponsePart.END

    def outputs_of(self, index: int) -> list[Array]:  # noqa: ARG002  # as of every result
        """Nothing: all were delivered."""
        return []


Refused = Mapping[int, HeadraceError]
"""Errors of requests that could not be answered after all, by their places in the batch."""

EncodedResponses = tuple[Encoded, Refused]
"""Answers, which only their sink knows, to all but the refused."""

NONE_REFUSED: Refused = {}


class ResponseSink(Protocol):
    """Takes outcomes to callers. It is called from the thread that ran a batch, and must not block.

    Each request gets one WHOLE response, or any number of PARTIAL ones and an END, or an error; and an
    error at last may follow PARTIAL ones.
    """

    @property
    def takes_parts(self) -> bool:
        """Tell whether requests may get several responses; where not, all are WHOLE."""

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Make the responses to these requests of a batch, and tell nobody yet.

        Where it raises, the requests of the batch are run again, each for itself.
        """

    def deliver(self, answers: Encoded) -> Collection[InferenceRequest]:
        """Deliver what was encoded. Those that are not to be counted as answered: the sink counts them.

        The lock of the version's statistics is held; nothing is left to do for the batch but to count it.
        Of PARTIAL responses nothing is counted: those whose callers take no more of them.
        """

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """This request is not answered: tell, and count it once."""
