"""What tests of the inference domain are made of: records, headers, and runners in plain numpy."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from headrace.datatypes import Datatype
from headrace.errors import HeadraceError
from headrace.state.catalog import Catalog
from headrace.state.records import (
    AliasRecord,
    Batching,
    ModelRecord,
    QueuePolicy,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.state.route_records import Canary, RouteRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
    TensorHeader,
)
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import VersionCounters

SIGNATURE = Signature(
    inputs=(TensorSpec("x", Datatype.FP32, (-1, 2)),),
    outputs=(TensorSpec("y", Datatype.FP32, (-1, 2)), TensorSpec("n", Datatype.INT64, (-1,))),
)


class Handle:
    """Remembers that it was to end its run."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    @property
    def terminate(self) -> bool:
        return self.ended.is_set()

    @terminate.setter
    def terminate(self, value: bool) -> None:
        self.ended.set()


class FakeClock:
    """A clock that stands still until it is told to go on; the wall's began at 1,000 s."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def monotonic_ns(self) -> int:
        """Return what the clock was advanced by."""
        return self.now_ns

    def wall_ns(self) -> int:
        """Return the same since the epoch."""
        return self.now_ns + 1_000_000_000_000

    def thread_ns(self) -> int:
        """Return the same: whoever runs uses all the time there is."""
        return self.now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += int(seconds * 1e9)


class DoublingRunner:
    """y = 2 x, n = a row's number in the batch, or 0; refuses batches with a negative value."""

    plan = NO_PLAN
    provider = "numpy"
    memory_bytes = 0
    graph = "pushed"
    remark = ""

    def __init__(self) -> None:
        self.labels: Mapping[str, Sequence[bytes]] = {}
        self.batching_obstacle = ""
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.alone = 0
        self.rests = 0
        self.closed = False
        self.broken = ""
        self.numbers_rows = True
        self.gate: threading.Event | None = None
        self.entered = threading.Semaphore(0)

    def new_handle(self) -> Handle:
        return Handle()

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        import numpy as np

        self.threads.add(threading.get_ident())
        self.entered.release()
        if self.gate is not None:
            assert self.gate.wait(10)
        (x,) = inputs
        if self.broken:
            raise RunFailed(self.broken)
        if (x < 0).any():
            raise RunFailed("negative value")
        self.batches.append(len(x))
        numbers = np.arange(len(x), dtype=np.int64)
        return [x * 2, numbers if self.numbers_rows else numbers * 0]

    def run_alone(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        self.alone += 1
        return self.run(inputs, handle)

    def rest(self) -> None:
        self.rests += 1

    def probe(self) -> str:
        return self.broken

    def close(self) -> None:
        self.closed = True


class RecordingSink:
    """Remembers outcomes; `wait(n)` waits for n of them."""

    takes_parts = False

    def __init__(self) -> None:
        self.outputs: dict[object, list[Array]] = {}
        self.errors: dict[object, HeadraceError] = {}
        self._settled = threading.Semaphore(0)

    def encode(
        self, served: object, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        return [(result.requests[index].reply, result.outputs_of(index)) for index in indexes], {}

    def deliver(self, answers: Sequence[tuple[object, list[Array]]]) -> Sequence[InferenceRequest]:
        for reply, outputs in answers:
            self.outputs[reply] = outputs
            self._settled.release()
        return ()

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        request.statistics.record_error(error.reason, time.monotonic_ns() - request.received_ns)
        self.errors[request.reply] = error
        self._settled.release()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self._settled.acquire(timeout=10)


def version(
    number: int = 1,
    model: str = "m",
    batching: Batching | None = None,
    queue: QueuePolicy | None = None,
    instances: int = 1,
) -> VersionRecord:
    """A version with the doubling signature."""
    config = ServingConfig(
        batching=batching or Batching(max_batch_size=8),
        queue=queue or QueuePolicy(),
        instances=instances,
    )
    return VersionRecord(model, number, f"d{number}", (), "model.onnx", SIGNATURE, config, 0.0)


def served(
    record: VersionRecord, runner: DoublingRunner | None = None, alone_first: int = 0
) -> LoadedVersion:
    """A loaded version, which has shown already that its requests may share runs."""
    return LoadedVersion(
        record, runner or DoublingRunner(), VersionCounters(), SYSTEM_CLOCK, alone_first=alone_first
    )


def catalog(
    *numbers: int,
    stable: int | None = None,
    canary: Canary | None = None,
    previous: int | None = None,
    aliases: dict[str, int] | None = None,
    keep_latest: int = 1,
) -> Catalog:
    """One model 'm' with these versions."""
    route = RouteRecord(stable, canary, previous) if stable is not None else None
    records = {name: AliasRecord(number, 0.0) for name, number in (aliases or {}).items()}
    model = ModelRecord("m", 0.0, aliases=records, route=route, keep_latest=keep_latest)
    return Catalog(7, {"m": model}, {("m", number): version(number) for number in numbers})


def header(
    rows: int = 1, name: str = "x", datatype: str = "FP32", columns: int = 2
) -> TensorHeader:
    """What a request says of its input."""
    return TensorHeader(name, datatype, (rows, columns))
