"""Copies of requests for a route's shadow: run where there is room, counted, and never felt."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.state.records import (
    Batching,
    Priorities,
    QueuePolicy,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.domain.ingress.shadow_copies import (
    MAX_COPIES,
    MAX_COPY_NS,
    ShadowCopies,
)
from headrace_inference.domain.routing.request_share import RequestShare
from headrace_inference.domain.routing.targets import ShadowTarget
from headrace_inference.domain.scheduling.requests import Array, InferenceRequest
from headrace_inference.domain.scheduling.watchdog import RunHandle
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import Counts
from tests.unit.inference.doubles import DoublingRunner, RecordingSink, header, served, version


@dataclass
class Pair:
    """A version that answers, and one in its shadow whose runner can be looked at."""

    original: LoadedVersion
    shadow: LoadedVersion
    runner: DoublingRunner
    copies: ShadowCopies
    room: list[bool]

    def request(self, value: float = 1.0, rows: int = 1) -> InferenceRequest:
        """A request that the original runs."""
        plan = self.original.plan_request([header(rows)], [])
        contents = np.full((rows, 2), value, dtype=np.float32).tobytes()
        now = self.original.clock.monotonic_ns()
        statistics = self.original.statistics
        return InferenceRequest(
            plan, [contents], "stable", now, None, statistics, RecordingSink(), 0
        )

    def send(self, count: int = 1, share: float = 100.0, value: float = 1.0) -> None:
        """Copy so many requests."""
        target = ShadowTarget(self.shadow, share, RequestShare())
        for _ in range(count):
            self.copies.send(target, self.original, self.request(value))

    def counted(self) -> Counts:
        """What became of the copies, once all that are queued have run."""
        self.shadow.close()
        return self.shadow.statistics.totals()


@contextmanager
def pair(
    record: VersionRecord | None = None,
    *,
    runner: DoublingRunner | None = None,
    gated: bool = False,
) -> Iterator[Pair]:
    """Version 1, and this record in its shadow; gated, copies wait until `runner.gate` is set."""
    runner, room = runner or DoublingRunner(), [True]
    runner.gate = threading.Event() if gated else None
    with ExitStack() as stack:
        original = stack.enter_context(closing(served(version(1))))
        shadow = stack.enter_context(closing(served(record or version(2), runner)))
        if runner.gate:
            stack.callback(runner.gate.set)
        yield Pair(original, shadow, runner, ShadowCopies(lambda _: room[0]), room)


def test_a_share_of_the_requests_is_run_by_the_shadow() -> None:
    """Its version counts them as its own, under a word of their own."""
    with pair() as both:
        both.send(40, share=25.0)
        counts = both.counted()

    assert (10, {"shadow": 10}, {}) == (counts.successes, counts.routes, counts.errors)
    assert 10 == sum(both.runner.batches)


def test_a_copy_of_its_own_request_is_not_made() -> None:
    """A match rule may have sent the request to the shadow's version already."""
    with pair() as both:
        target = ShadowTarget(both.original, 100.0, RequestShare())
        both.copies.send(target, both.original, both.request())

        assert 0 == both.original.statistics.totals().successes


def test_a_shadow_that_fails_is_counted() -> None:
    """Each copy with its error."""
    with pair() as both:
        both.send(3, value=-1.0)
        counts = both.counted()

    assert (0, 3) == (counts.successes, sum(counts.errors.values()))


def other_signature(*specs: TensorSpec) -> VersionRecord:
    """Version 2 with other inputs."""
    record = version(2)
    return replace(record, signature=Signature(specs, record.signature.outputs))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (other_signature(TensorSpec("x", Datatype.INT32, (-1, 2))), "DATATYPE_MISMATCH"),
        (other_signature(TensorSpec("z", Datatype.FP32, (-1, 2))), "INPUT_UNKNOWN"),
        (other_signature(TensorSpec("x", Datatype.FP32, (-1, 3))), "SHAPE_MISMATCH"),
    ],
)
def test_a_shadow_that_takes_other_requests_counts_what_is_wrong(
    record: VersionRecord, reason: str
) -> None:
    """The request was right for the version that answers it."""
    with pair(record) as both:
        both.send(2)
        counts = both.counted()

    assert {reason: 2} == counts.errors


def test_a_shadow_that_is_slow_holds_a_few_copies_and_drops_the_others() -> None:
    """Those are counted; when copies end there is room for others."""
    with pair(gated=True) as both:
        both.send(MAX_COPIES + 7)
        held = both.shadow.scheduler.in_flight
        assert both.runner.gate is not None
        both.runner.gate.set()
        counts = both.counted()

    assert MAX_COPIES == held
    assert (MAX_COPIES, {"SHADOW_DROPPED": 7}) == (counts.successes, counts.errors)


def test_copies_that_ended_make_room() -> None:
    """As many as there is time for are run, however many there were before."""
    with pair() as both:
        for _ in range(3):
            both.send(MAX_COPIES)
            while both.shadow.scheduler.in_flight:
                threading.Event().wait(0.001)
        counts = both.counted()

    assert (3 * MAX_COPIES, {}) == (counts.successes, counts.errors)


def test_no_copy_is_made_where_the_replica_is_short_of_room() -> None:
    """The requests of callers come first."""
    with pair() as both:
        both.room[0] = False
        both.send(2)
        both.room[0] = True
        both.send(1)
        counts = both.counted()

    assert (1, {"SHADOW_DROPPED": 2}) == (counts.successes, counts.errors)


@pytest.mark.parametrize(
    ("left_ns", "expected_ns"), [(None, MAX_COPY_NS), (5, 5), (2 * MAX_COPY_NS, MAX_COPY_NS)]
)
def test_a_copy_ends_with_its_caller_or_after_a_while(
    left_ns: int | None, expected_ns: int
) -> None:
    """So that a replica that stops does not wait for copies of a slow shadow."""
    with pair() as both:
        request = both.request()
        request.deadline_ns = None if left_ns is None else 1000 + left_ns
        copy = both.copies._copy(both.shadow, both.original, request, 1000)

    assert 1000 + expected_ns == copy.deadline_ns


def test_a_full_queue_refuses_copies() -> None:
    """As it refuses requests; the error is counted once."""
    record = version(2, queue=QueuePolicy(max_requests=2))
    with pair(record, gated=True) as both:
        both.send(1)
        assert both.runner.entered.acquire(timeout=10)
        both.send(5)
        assert both.runner.gate is not None
        both.runner.gate.set()
        counts = both.counted()

    assert (3, {"QUEUE_FULL": 3}) == (counts.successes, counts.errors)


def test_a_shadow_that_is_unloaded_takes_no_copies() -> None:
    """Nobody hears of it, and nothing is left in flight."""
    with pair() as both:
        both.shadow.close()
        both.send(MAX_COPIES + 1)
        counts = both.shadow.statistics.totals()

    assert (0, {}) == (counts.successes, counts.errors)


class ValueRunner(DoublingRunner):
    """Remembers the first value of every run."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        outputs = super().run(inputs, handle)
        self.values.append(float(inputs[0][0, 0]))
        return outputs


def test_copies_have_the_lowest_priority() -> None:
    """Of a version with levels: whoever calls it is served before them."""
    record = version(2, batching=Batching(max_batch_size=1))
    config = replace(record.config, priorities=Priorities(levels=3, default_level=2))
    runner = ValueRunner()
    with pair(replace(record, config=config), runner=runner, gated=True) as both:
        both.send(1, value=1.0)
        assert runner.entered.acquire(timeout=10)
        both.send(1, value=2.0)
        called = both.request(value=3.0)
        called.plan = both.shadow.plan_request([header(1)], [])
        both.shadow.scheduler.enqueue([called])
        assert runner.gate is not None
        runner.gate.set()
        both.counted()

    assert [1.0, 3.0, 2.0] == runner.values


def test_a_bug_is_logged_and_felt_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong in making a copy, its request is under way."""
    with pair() as both:
        request = both.request()
        request.contents = []
        both.copies.send(ShadowTarget(both.shadow, 100.0, RequestShare()), both.original, request)
        counts = both.counted()

    assert {"INTERNAL": 1} == counts.errors
    assert "a copy for shadow m/2 failed" in caplog.text


@pytest.mark.parametrize(
    ("held", "copies", "spared"),
    [(0, 100, True), (0, 101, False), (400, 100, True), (401, 1, False)],
)
def test_copies_have_an_eighth_while_callers_need_less_than_half(
    held: int, copies: int, spared: bool
) -> None:
    """Of the bytes that may be in flight, beside them."""
    budget = InFlightBudget(IngressLimits(max_bytes=800))
    budget.hold(1, held)

    assert spared == budget.can_spare(copies)
