"""Whatever fails in a batch, be it our own code, fails for the one request that it is about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headrace.errors import ResourceExhausted
from headrace.state.records import Batching
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
)
from headrace_inference.domain.scheduling.runner import InputsRefused, OutOfMemory, RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import (
    DoublingRunner,
    FakeClock,
    RecordingSink,
    header,
    served,
    version,
)

GUILTY = 7.0
TOGETHER = Batching(
    max_batch_size=8, preferred_batch_sizes=(3,), max_queue_delay_microseconds=10_000_000
)


class FailingSink(RecordingSink):
    """Fails to make, or to send, the answers of a batch that the guilty request is in."""

    def __init__(
        self, preparing: Exception | None = None, sending: Exception | None = None
    ) -> None:
        super().__init__()
        self._preparing = preparing
        self._sending = sending

    def encode(
        self, served: object, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        replies = [result.requests[index].reply for index in indexes]
        if self._preparing is not None and GUILTY in replies:
            raise self._preparing
        return super().encode(served, result, indexes)

    def deliver(self, answers: Sequence[tuple[object, list[Array]]]) -> Sequence[InferenceRequest]:
        if self._sending is not None and GUILTY in [reply for reply, _ in answers]:
            raise self._sending
        return super().deliver(answers)


class FailingRunner(DoublingRunner):
    """Fails on the guilty request's values."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        if (inputs[0] == GUILTY).any():
            raise self._error
        return super().run(inputs, handle)


def loaded_with(
    runner: DoublingRunner, watchdog: RunWatchdog | None = None, clock: Clock = SYSTEM_CLOCK
) -> LoadedVersion:
    """A version that joins three requests, or two where one is of two rows."""
    return LoadedVersion(
        version(batching=TOGETHER), runner, VersionCounters(), clock, watchdog, alone_first=0
    )


def pending(loaded: LoadedVersion, sink: RecordingSink, value: float) -> InferenceRequest:
    """A request of one row of this value, which is its name, too."""
    plan = loaded.plan_request([header(1)], [])
    contents = np.full((1, 2), value, np.float32).tobytes()
    now = time.monotonic_ns()
    return InferenceRequest(plan, [contents], "stable", now, None, loaded.statistics, sink, value)


def settled(
    loaded: LoadedVersion, sink: RecordingSink, others: RecordingSink | None = None
) -> None:
    """Have a batch of three run, the guilty in its middle, and wait for its outcomes."""
    sinks = [others or sink, sink, others or sink]
    try:
        loaded.scheduler.enqueue(
            [
                pending(loaded, own, value)
                for own, value in zip(sinks, (1.0, GUILTY, 3.0), strict=True)
            ]
        )
        sink.wait(1 if others else 3)
        if others:
            others.wait(2)
    finally:
        loaded.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputsRefused("index out of range"), "INPUTS_REFUSED"),
        (RunFailed("it fell over"), "RUN_FAILED"),
        (OutOfMemory("Failed to allocate memory"), "RUN_OUT_OF_MEMORY"),
        (MemoryError(), "RUN_OUT_OF_MEMORY"),
        (ValueError("a bug"), "INTERNAL"),
        (KeyError("a bug"), "INTERNAL"),
    ],
)
@pytest.mark.parametrize("at", ["run", "answer"])
def test_any_failure_is_the_guilty_ones_alone(error: Exception, reason: str, at: str) -> None:
    """Runs and answers that fail, whatever with, are tried again one by one."""
    loaded = loaded_with(FailingRunner(error) if at == "run" else DoublingRunner())
    sink = FailingSink(preparing=error if at == "answer" else None)
    settled(loaded, sink)
    assert {1.0, 3.0} == set(sink.outputs)
    assert {GUILTY: reason} == {name: failure.reason for name, failure in sink.errors.items()}
    totals = loaded.statistics.totals()
    assert (2, {reason: 1}) == (totals.successes, totals.errors)


def test_what_cannot_be_joined_is_run_one_by_one() -> None:
    """Contents that are not as long as their shape says, which no front lets through, end nobody else."""
    loaded, sink = loaded_with(DoublingRunner()), RecordingSink()
    requests = [pending(loaded, sink, value) for value in (1.0, GUILTY, 3.0)]
    requests[1].contents = [b"\0" * 12]
    loaded.scheduler.enqueue(requests)
    sink.wait(3)
    loaded.close()
    assert ({1.0, 3.0}, {GUILTY}) == (set(sink.outputs), set(sink.errors))


def test_an_error_of_ours_is_told_as_it_is() -> None:
    """A sink that refuses an answer says why."""
    error = ResourceExhausted("ANSWER_TOO_LARGE", "too large")
    loaded, sink = loaded_with(DoublingRunner()), FailingSink(preparing=error)
    settled(loaded, sink)
    assert {GUILTY: error} == sink.errors


def test_answers_that_cannot_be_sent_are_not_run_again() -> None:
    """They are counted and may have left; other sinks of the batch send theirs."""
    runner = DoublingRunner()
    loaded, others = loaded_with(runner), RecordingSink()
    settled(loaded, FailingSink(sending=RuntimeError("the loop is closed")), others)
    assert ([3], {1.0, 3.0}) == (runner.batches, set(others.outputs))


def test_a_batch_that_took_too_long_is_run_one_by_one() -> None:
    """The time that a run may take is each request's own."""
    clock = FakeClock()
    watchdog = RunWatchdog(clock, max_run_seconds=300)

    class Endless(DoublingRunner):
        def run(self, inputs: Sequence[Array], handle: Any = None) -> list[Array]:
            if (inputs[0] == GUILTY).any():
                clock.advance(301)
                watchdog.sweep(clock.monotonic_ns())
                assert handle.ended.is_set()
                raise RunFailed("terminated")
            return super().run(inputs, handle)

    loaded, sink = loaded_with(Endless(), watchdog, clock), RecordingSink()
    settled(loaded, sink)
    assert {1.0, 3.0} == set(sink.outputs)
    assert {GUILTY: "RUN_TOO_LONG"} == {name: error.reason for name, error in sink.errors.items()}


@pytest.mark.parametrize("gone", ["cancelled", "expired"])
def test_who_went_away_meanwhile_is_not_run_again(gone: str) -> None:
    """A batch that failed may have taken long."""
    calls: list[Callable[[], None]] = []

    class Leaving(FailingRunner):
        def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
            while calls:
                calls.pop()()
            return super().run(inputs, handle)

    loaded, sink = loaded_with(Leaving(RunFailed("no"))), RecordingSink()
    requests = [pending(loaded, sink, value) for value in (1.0, GUILTY, 3.0)]

    def leave() -> None:
        requests[2].cancelled = gone == "cancelled"
        requests[2].deadline_ns = time.monotonic_ns() - 1

    calls.append(leave)
    loaded.scheduler.enqueue(requests)
    sink.wait(3)
    loaded.close()
    expected = "CANCELLED" if gone == "cancelled" else "DEADLINE_EXCEEDED"
    assert expected == sink.errors[3.0].reason


@pytest.mark.parametrize(
    ("ordered", "alone_first", "shape"),
    [(False, 0, [7, 2]), (True, 0, [7, 2]), (False, 1, [3, 2]), (True, 1, [3, 2])],
)
def test_a_version_whose_rows_differ_is_batched_no_more(
    ordered: bool, alone_first: int, shape: list[int]
) -> None:
    """Also the batches that are taken or under way when that is found out."""
    found_out, under_way = threading.Event(), threading.Event()

    class Detector(DoublingRunner):
        def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
            (x,) = inputs
            if len(x) > 1 and x[0, 0] == 0:  # the batch that adds up by chance
                under_way.set()
                assert found_out.wait(10)
            elif len(x) > 1:
                assert under_way.wait(10)
            elif not alone_first:
                found_out.set()
            self.batches.append(len(x))
            rows = np.repeat(x, x[:, 0].astype(int), axis=0)
            return [rows, np.zeros(len(rows), np.int64)]

    batching = Batching(
        max_batch_size=2,
        preferred_batch_sizes=(2,),
        max_queue_delay_microseconds=10_000_000,
        preserve_ordering=ordered,
    )
    runner, sink = Detector(), RecordingSink()
    record = version(batching=batching, instances=2)
    loaded = served(record, runner, alone_first)
    hits = (3.0, 4.0, 0.0, 2.0)
    loaded.scheduler.enqueue(
        [pending(loaded, sink, value) for value in hits]
    )  # two for each instance
    sink.wait(4)
    loaded.close()
    found = {name: outputs[0][:, 0].tolist() for name, outputs in sink.outputs.items()}
    assert {value: [value] * int(value) for value in hits} == found
    assert f"output 'y' has shape {shape} for" in loaded.batching_off
    assert 1 == loaded.statistics.totals().batching_disabled


def test_a_request_that_can_share_no_run_says_nothing_of_those_that_can() -> None:
    """Inputs of other numbers of rows, or a replaced default, may give any number; batches go on."""

    class Doubled(DoublingRunner):
        def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
            rows = np.repeat(inputs[0], 2, axis=0)
            return [rows, np.zeros(len(rows), np.int64)]

    sink = RecordingSink()
    loaded = served(version(batching=TOGETHER), Doubled())
    alone = pending(loaded, sink, 3.0)
    alone.plan = replace(alone.plan, batch_key=None)
    loaded.scheduler.enqueue([alone])
    sink.wait(1)
    loaded.close()
    assert (2, 2) == sink.outputs[3.0][0].shape
    assert "" == loaded.batching_off
