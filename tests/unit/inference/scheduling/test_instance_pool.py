"""Instances, batches, deadlines and bounds, with real threads."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from headrace.state.records import Batching, Priorities, QueuePolicy
from headrace_inference.domain.scheduling import batching
from headrace_inference.domain.scheduling.instance_pool import SWEEP_AFTER_NS, InstancePool
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from tests.unit.inference.doubles import (
    version,
)
from tests.unit.inference.scheduling.pools import occupy, request, serving, wait_until_idle


@pytest.mark.parametrize("ordered", [False, True])
def test_a_request_beside_which_nothing_runs_has_the_version_to_itself(ordered: bool) -> None:
    """One that comes meanwhile, and several that wait together, share it."""
    record = version(batching=Batching(max_batch_size=8, preserve_ordering=ordered), instances=2)
    with serving(record, gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        assert 1 == runner.alone
        loaded.scheduler.enqueue([request(loaded, sink, "beside")])
        assert runner.entered.acquire(timeout=10)
        loaded.scheduler.enqueue([request(loaded, sink, index) for index in range(4)])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(6)
        assert 1 == runner.alone
        wait_until_idle(loaded)
        loaded.scheduler.enqueue([request(loaded, sink, "last")])
        sink.wait(1)
        assert 2 == runner.alone


def test_what_waits_becomes_one_batch() -> None:
    """A free instance takes all that waits, and each request gets its own rows."""
    with serving(version(), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([request(loaded, sink, index, value=index) for index in range(5)])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(6)

    assert runner.batches == [1, 5]
    expected = [[[2.0 * index] * 2] for index in range(5)]
    assert expected == [sink.outputs[index][0].tolist() for index in range(5)]


def test_a_batch_has_at_most_its_size() -> None:
    """Requests over the batch size wait for the next run; one is never split."""
    with serving(version(batching=Batching(max_batch_size=4)), gated=True) as (
        loaded,
        runner,
        sink,
    ):
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([request(loaded, sink, index, rows=3) for index in range(3)])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(4)

    assert runner.batches == [1, 3, 3, 3]


def test_instances_share_what_waits() -> None:
    """Two idle instances take half each, so that no core stays idle."""
    with serving(version(instances=2), gated=True) as (loaded, runner, sink):
        loaded.scheduler.enqueue([request(loaded, sink, index) for index in range(8)])
        assert runner.entered.acquire(timeout=10)
        assert runner.entered.acquire(timeout=10)
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(8)

    assert sorted(runner.batches) == [4, 4]


def test_one_bad_request_fails_alone() -> None:
    """The others of its batch are answered."""
    with serving(version(), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        values = [1.0, -1.0, 3.0]
        loaded.scheduler.enqueue([request(loaded, sink, value, value) for value in values])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(4)

    assert {"first", 1.0, 3.0} == set(sink.outputs)
    assert sink.errors[-1.0].reason == "RUN_FAILED"


def test_expired_and_cancelled_requests_are_not_run() -> None:
    """What nobody waits for any more is dropped before it costs a run."""
    with serving(version(), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        gone = request(loaded, sink, "gone")
        gone.cancelled = True
        late = request(loaded, sink, "late", deadline_ns=time.monotonic_ns() - 1)
        loaded.scheduler.enqueue([gone, late, request(loaded, sink, "good")])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(4)

    assert runner.batches == [1, 1]
    assert sink.errors["gone"].reason == "CANCELLED"
    assert sink.errors["late"].reason == "DEADLINE_EXCEEDED"


def test_what_need_not_wait_is_dropped_while_a_run_is_on() -> None:
    """Cancelled, expired or past its timeout: told before the instance is free, and its place is too."""
    policy = QueuePolicy(max_requests=4, allow_timeout_override=True)
    with serving(version(queue=policy), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        gone, hasty = request(loaded, sink, "gone"), request(loaded, sink, "hasty")
        late = request(loaded, sink, "late", deadline_ns=time.monotonic_ns() + 1)
        gone.cancelled, hasty.plan = True, replace(hasty.plan, timeout_us=1)
        loaded.scheduler.enqueue([request(loaded, sink, "good"), gone, late, hasty])
        assert isinstance(loaded.scheduler, InstancePool)
        loaded.scheduler.drop_unwanted(time.monotonic_ns() + SWEEP_AFTER_NS)
        assert {"gone", "late", "hasty"} == set(sink.errors)
        loaded.scheduler.enqueue([request(loaded, sink, index) for index in range(3)])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(8)

    assert {"first", "good", 0, 1, 2} == set(sink.outputs)
    assert [1, 4] == runner.batches
    reasons = {"gone": "CANCELLED", "late": "DEADLINE_EXCEEDED", "hasty": "QUEUE_TIMEOUT"}
    assert reasons == {name: error.reason for name, error in sink.errors.items()}


def test_a_queue_that_is_about_to_be_taken_is_left_alone() -> None:
    """Looking costs nothing where requests hardly wait."""
    with serving(version(), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        gone = request(loaded, sink, "gone")
        gone.cancelled = True
        loaded.scheduler.enqueue([gone])
        assert isinstance(loaded.scheduler, InstancePool)
        loaded.scheduler.drop_unwanted(gone.received_ns + SWEEP_AFTER_NS - 1)
        assert (1, {}) == (loaded.scheduler.waiting, sink.errors)


def test_a_full_queue_refuses_with_its_limit() -> None:
    """Over the bound the error names the limit and its setting."""
    with serving(version(queue=QueuePolicy(max_requests=2)), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([request(loaded, sink, index) for index in range(3)])
        sink.wait(1)
        error = sink.errors[2]
        assert runner.gate is not None
        runner.gate.set()

    assert error.reason == "QUEUE_FULL"
    assert error.facts == {"limit": "2", "setting": "queue.max_requests"}


def test_closing_finishes_what_waits_and_refuses_what_comes() -> None:
    """A version in use is never unloaded under a request."""
    with serving(version(), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([request(loaded, sink, index) for index in range(3)])
        closing = threading.Thread(target=loaded.close)
        closing.start()
        assert runner.gate is not None
        runner.gate.set()
        closing.join(10)
        with pytest.raises(SchedulerStopped):
            loaded.scheduler.enqueue([request(loaded, sink, "late")])

    assert {"first", 0, 1, 2} == set(sink.outputs)
    assert runner.closed


def test_a_queue_delay_waits_for_a_preferred_size() -> None:
    """With a delay a free instance waits for the preferred rows, then takes them together."""
    delayed = Batching(8, max_queue_delay_microseconds=5_000_000, preferred_batch_sizes=(4,))
    with serving(version(batching=delayed)) as (loaded, runner, sink):
        for index in range(4):
            loaded.scheduler.enqueue([request(loaded, sink, index)])
        sink.wait(4)

    assert runner.batches == [4]


def test_a_queue_delay_ends() -> None:
    """After the delay a free instance takes what there is."""
    delayed = Batching(8, max_queue_delay_microseconds=20_000, preferred_batch_sizes=(4,))
    with serving(version(batching=delayed)) as (loaded, runner, sink):
        loaded.scheduler.enqueue([request(loaded, sink, 0)])
        sink.wait(1)

    assert runner.batches == [1]


@pytest.mark.parametrize(
    ("rows", "idle", "most", "expected"),
    [(8, 2, 64, 4), (7, 2, 64, 4), (100, 1, 64, 64), (1, 4, 64, 1)],
)
def test_share(rows: int, idle: int, most: int, expected: int) -> None:
    """An instance takes its part of what waits, rounded up, within the batch size."""
    assert expected == batching.share(rows, idle, most)


def test_statistics_count_each_request_once() -> None:
    """Totals and what is new agree with what was answered and refused."""
    with serving(version()) as (loaded, _, sink):
        for index in range(10):
            loaded.scheduler.enqueue([request(loaded, sink, index, value=float(index - 1))])
        sink.wait(10)
        loaded.scheduler.stop()
        counts = loaded.statistics.drain()
        totals = loaded.statistics.totals()

    assert (counts.successes, dict(counts.errors)) == (9, {"RUN_FAILED": 1})
    assert counts.total.count == counts.queue.count == counts.compute.count == 9
    assert totals.successes == 9
    assert loaded.statistics.drain().idle


def test_urgent_requests_overtake_those_that_wait() -> None:
    """The highest level first, in order within one; batches of one row show it."""
    record = version(batching=Batching(max_batch_size=1))
    config = replace(record.config, priorities=Priorities(levels=2, default_level=2))
    with serving(replace(record, config=config), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        for name, priority in (("a", 0), ("b", 1), ("c", 2), ("d", 1)):
            pending = request(loaded, sink, name)
            pending.plan = replace(pending.plan, priority=priority)
            loaded.scheduler.enqueue([pending])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(5)

    assert ["first", "b", "d", "a", "c"] == list(sink.outputs)


def test_a_request_may_wait_less_than_others() -> None:
    """Its own timeout counts where the policy lets it."""
    policy = QueuePolicy(allow_timeout_override=True)
    with serving(version(queue=policy), gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        hasty = request(loaded, sink, "hasty")
        hasty.plan = replace(hasty.plan, timeout_us=1)
        loaded.scheduler.enqueue([hasty, request(loaded, sink, "calm")])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(3)

    assert {"first", "calm"} == set(sink.outputs)
    assert "QUEUE_TIMEOUT" == sink.errors["hasty"].reason


def test_what_runs_counts_against_the_limit_in_flight() -> None:
    """One runs, one waits, the third is told the limit; when they are done there is room again."""
    record = version()
    record = replace(record, config=replace(record.config, max_in_flight_requests=2))
    with serving(record, gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([request(loaded, sink, "second"), request(loaded, sink, "third")])
        sink.wait(1)
        error = sink.errors["third"]
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(2)
        wait_until_idle(loaded)
        loaded.scheduler.enqueue([request(loaded, sink, name) for name in ("fourth", "fifth")])
        sink.wait(2)

    assert "MAX_IN_FLIGHT_REACHED" == error.reason
    assert {"limit": "2", "setting": "max_in_flight_requests"} == error.facts
    assert {"first", "second", "fourth", "fifth"} == set(sink.outputs)


def test_answers_keep_the_order_of_their_batches() -> None:
    """Two instances, and the second to take a batch is ready first: it waits for the first."""
    ordered = Batching(max_batch_size=1, preserve_ordering=True)
    with serving(version(batching=ordered, instances=2), gated=True) as (loaded, runner, sink):
        slow, quick = threading.Event(), threading.Event()
        gates = {1.0: slow, 2.0: quick}
        run = runner.run

        def run_behind_its_gate(inputs: Any, handle: Any = None) -> Any:
            outputs = run(inputs, handle)
            assert gates[float(inputs[0][0, 0])].wait(10)
            return outputs

        runner.run = run_behind_its_gate  # type: ignore[method-assign]
        assert runner.gate is not None
        runner.gate.set()
        loaded.scheduler.enqueue(
            [request(loaded, sink, "slow", 1.0), request(loaded, sink, "quick", 2.0)]
        )
        assert runner.entered.acquire(timeout=10)
        assert runner.entered.acquire(timeout=10)
        quick.set()
        assert not sink.outputs
        slow.set()
        sink.wait(2)

    assert ["slow", "quick"] == list(sink.outputs)


def test_batches_are_filled_up_to_an_allowed_size() -> None:
    """The model sees allowed sizes only; callers see their own rows, statistics too."""
    allowed = Batching(max_batch_size=8, allowed_batch_sizes=(2, 8))
    with serving(version(batching=allowed), gated=True) as (loaded, runner, sink):
        runner.numbers_rows = False
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([request(loaded, sink, index, value=index) for index in range(3)])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(4)
        rows = loaded.statistics.totals().rows

    assert ([2, 8], 4) == (runner.batches, rows)
    expected = [[[2.0 * index] * 2] for index in range(3)]
    assert expected == [sink.outputs[index][0].tolist() for index in range(3)]
