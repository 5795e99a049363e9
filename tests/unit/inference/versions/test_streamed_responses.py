"""Several responses to one request: from a runner, by a scheduler of its own, through a sink."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from headrace.errors import HeadraceError
from headrace.state.records import ServingConfig
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.scheduling.batching import assemble
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
    PartialResult,
    ResponsePart,
    StreamEnd,
)
from headrace_inference.domain.scheduling.runner import RunFailed, StreamingRunner
from headrace_inference.domain.scheduling.scheduler_factory import (
    OpenScheduler,
    Workload,
    open_scheduler,
)
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import (
    DoublingRunner,
    Handle,
    RecordingSink,
    header,
    version,
)


class CountingRunner(DoublingRunner):
    """Counts down from the request's value: a response for every number, and none for 0."""

    def __init__(self) -> None:
        super().__init__()
        self.left = threading.Event()
        self.handles: list[RunHandle] = []

    def new_handle(self) -> Handle:
        self.handles.append(handle := Handle())
        return handle

    def stream(
        self, inputs: Sequence[Array], handle: RunHandle | None = None
    ) -> Generator[Sequence[Array], None, None]:
        (x,) = inputs
        try:
            for number in range(int(x[0, 0]), 0, -1):
                if number == 13:
                    raise RunFailed("unlucky")
                yield [np.full((1, 2), number, np.float32), np.array([number])]
        finally:
            self.left.set()


class PartsSink(RecordingSink):
    """Remembers every response by its request's name, and how it ended; takes so many of each."""

    takes_parts = True

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        self.heard: list[tuple[object, float | str]] = []
        self.most = most

    def encode(
        self, served: object, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        return [
            (result.requests[index], result.part, result.outputs_of(index)) for index in indexes
        ], {}

    def deliver(self, answers: Sequence[tuple[Any, ...]]) -> Sequence[InferenceRequest]:
        """Answers are requests, parts and outputs."""
        for request, part, outputs in answers:
            if part is ResponsePart.END:
                self.heard.append((request.reply, "end"))
                self._settled.release()
                continue
            if len(self.of(request.reply)) == self.most:
                request.cancelled = True
                return [request]
            self.heard.append((request.reply, float(outputs[0][0, 0])))
        return ()

    def of(self, name: object) -> list[float | str]:
        """What was heard of one request."""
        return [heard for reply, heard in self.heard if reply == name]


class InterleavingScheduler:
    """Takes one response of each request in turn, as a scheduler does that batches steps."""

    def __init__(self, config: ServingConfig, workload: Workload) -> None:
        assert isinstance(workload.runner, StreamingRunner)
        self._stream, self._responder = workload.runner.stream, workload.responder
        self._steps: deque[tuple[InferenceRequest, Iterator[Sequence[Array]]]] = deque()
        self.stopped = False

    @property
    def waiting(self) -> int:
        return 0

    @property
    def in_flight(self) -> int:
        return len(self._steps)

    @property
    def expected_wait_ns(self) -> float:
        return 0.0

    def enqueue(self, requests: Sequence[InferenceRequest]) -> None:
        self._steps.extend([(one, self._stream(assemble([one]))) for one in requests])

    def run(self) -> None:
        """Answer all that was enqueued."""
        while self._steps:
            request, responses = self._steps.popleft()
            if (outputs := next(responses, None)) is None:
                self._responder.respond(StreamEnd([request], (), (0, 1)))
            elif self._responder.respond_partly(PartialResult([request], outputs, (0, 1))):
                self._steps.append((request, responses))

    def acquire_inline(self) -> bool:
        return False

    def release_inline(self) -> None:
        raise AssertionError("never acquired")

    def open_background(self) -> None:
        raise AssertionError("nobody asks for it")

    def stop_batching(self) -> bool:
        return False

    def stop(self) -> None:
        self.stopped = True


@contextmanager
def streaming(
    runner: CountingRunner, watchdog: RunWatchdog, open_it: OpenScheduler = open_scheduler
) -> Iterator[LoadedVersion]:
    """A loaded version with this runner."""
    counters = VersionCounters()
    loaded = LoadedVersion(
        version(), runner, counters, SYSTEM_CLOCK, watchdog, open_scheduler=open_it
    )
    try:
        yield loaded
    finally:
        loaded.close()


def request(loaded: LoadedVersion, sink: RecordingSink, name: str, value: int) -> InferenceRequest:
    """A request for so many responses."""
    row = np.full((1, 2), value, np.float32)
    plan = loaded.plan_request([header(1)], [])
    received_ns = SYSTEM_CLOCK.monotonic_ns()
    return InferenceRequest(plan, [row], "", received_ns, None, loaded.statistics, sink, name)


def test_a_request_gets_its_responses_in_order_and_counts_once() -> None:
    """However many they are; none at all is an answer, too."""
    sink = PartsSink()
    with streaming(CountingRunner(), RunWatchdog(SYSTEM_CLOCK)) as loaded:
        assert not loaded.try_run_inline([request(loaded, sink, "inline", 1)])
        loaded.scheduler.enqueue([request(loaded, sink, "a", 3), request(loaded, sink, "b", 0)])
        sink.wait(2)
        totals = loaded.statistics.totals()
    assert ([3.0, 2.0, 1.0, "end"], ["end"]) == (sink.of("a"), sink.of("b"))
    assert (2, 2, 0) == (totals.successes, totals.executions, sum(totals.errors.values()))


def test_a_failure_may_follow_responses() -> None:
    """What was delivered stays so; the request counts as failed."""
    sink = PartsSink()
    with streaming(CountingRunner(), RunWatchdog(SYSTEM_CLOCK)) as loaded:
        loaded.scheduler.enqueue([request(loaded, sink, "a", 14)])
        sink.wait(1)
        totals = loaded.statistics.totals()
    assert ([14.0], "RUN_FAILED") == (sink.of("a"), sink.errors["a"].reason)
    assert (0, {"RUN_FAILED": 1}) == (totals.successes, dict(totals.errors))


def test_a_run_ends_whose_caller_takes_no_more() -> None:
    """It is left at the next response, and its instance is free."""
    sink, runner = PartsSink(most=2), CountingRunner()
    with streaming(runner, RunWatchdog(SYSTEM_CLOCK)) as loaded:
        loaded.scheduler.enqueue([request(loaded, sink, "a", 10)])
        sink.wait(1)
    assert runner.left.is_set()
    assert ([10.0, 9.0], "CANCELLED") == (sink.of("a"), sink.errors["a"].reason)


def test_the_watchdog_ends_a_stream_that_takes_too_long() -> None:
    """At its next response."""
    watchdog, runner = RunWatchdog(SYSTEM_CLOCK, max_run_seconds=1.0), CountingRunner()

    class Sweeping(PartsSink):
        def deliver(self, answers: Sequence[tuple[Any, ...]]) -> Sequence[InferenceRequest]:
            watchdog.sweep(SYSTEM_CLOCK.monotonic_ns() + 2 * 10**9)
            return super().deliver(answers)

    sink = Sweeping()
    with streaming(runner, watchdog) as loaded:
        loaded.scheduler.enqueue([request(loaded, sink, "a", 10)])
        sink.wait(1)
    assert ([10.0], "RUN_TOO_LONG") == (sink.of("a"), sink.errors["a"].reason)
    assert [True] == [handle.terminate for handle in runner.handles]


def test_a_sink_that_takes_one_response_is_told_to_stream() -> None:
    """The runner is not even asked."""
    sink, runner = RecordingSink(), CountingRunner()
    with streaming(runner, RunWatchdog(SYSTEM_CLOCK)) as loaded:
        loaded.scheduler.enqueue([request(loaded, sink, "a", 3)])
        sink.wait(1)
    error: HeadraceError = sink.errors["a"]
    assert ("STREAM_REQUIRED", False) == (error.reason, runner.left.is_set())


def test_a_version_takes_another_scheduler() -> None:
    """One that answers several requests in turns, step by step."""
    sink, opened = PartsSink(), list[InterleavingScheduler]()

    def open_interleaving(config: ServingConfig, workload: Workload) -> InterleavingScheduler:
        opened.append(InterleavingScheduler(config, workload))
        return opened[0]

    with streaming(CountingRunner(), RunWatchdog(SYSTEM_CLOCK), open_interleaving) as loaded:
        ask = partial(request, loaded, sink)
        loaded.scheduler.enqueue([ask("a", 2), ask("b", 3)])
        assert 2 == loaded.scheduler.in_flight
        opened[0].run()
        assert 2 == loaded.statistics.totals().successes
    assert [("a", 2.0), ("b", 3.0), ("a", 1.0), ("b", 2.0), ("a", "end")] == sink.heard[:5]
    assert ([3.0, 2.0, 1.0, "end"], True) == (sink.of("b"), opened[0].stopped)
