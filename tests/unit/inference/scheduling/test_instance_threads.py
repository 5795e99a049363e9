"""The life of instance threads: they start with requests, rest, and end without."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from headrace.state.records import Batching
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.scheduling.instance_pool import InstancePool
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.scheduling.watchdog import RunWatchdog
from tests.unit.inference.doubles import (
    version,
)
from tests.unit.inference.scheduling.pools import request, serving


def instance_threads() -> int:
    """How many threads of the version's instances live."""
    return sum("m/1-instance" in thread.name for thread in threading.enumerate())


def test_threads_start_with_requests_and_end_without() -> None:
    """A version that nobody calls has none; one whose requests have ended has none after a while."""
    ran = threading.Barrier(3)

    def run(batch: list[InferenceRequest], _: object) -> None:
        ran.wait(10)

    config = replace(version(instances=2).config, batching=Batching())
    pool = InstancePool("m/1", config, run, 1, SYSTEM_CLOCK, linger_seconds=0.05)
    with serving(version()) as (loaded, _, sink):
        assert 0 == instance_threads()
        assert pool.in_flight == 0
        for _ in range(3):  # they come again as often as they are wanted
            pool.enqueue([request(loaded, sink, index) for index in range(2)])
            ran.wait(10)
            while instance_threads():
                time.sleep(0.001)
            assert pool.in_flight == 0
        pool.stop()
    with pytest.raises(SchedulerStopped):
        pool.enqueue([request(loaded, sink, "late")])


def test_threads_that_end_strand_no_request() -> None:
    """Whenever a request comes while a thread is about to end, somebody runs it."""
    answered = threading.Semaphore(0)

    def run(batch: list[InferenceRequest], _: object) -> None:
        answered.release(len(batch))

    config = replace(version(instances=2).config, batching=Batching())
    pool = InstancePool("m/1", config, run, 1, SYSTEM_CLOCK, linger_seconds=0.0002)
    with serving(version()) as (loaded, _, sink):
        for index in range(2000):
            pool.enqueue([request(loaded, sink, index)])
            assert answered.acquire(timeout=10)
            for _ in range(
                index % 50 * 20
            ):  # up to the time after which a thread ends, and over it
                pass
        pool.stop()


def test_a_queue_is_looked_at_while_something_can_wait_in_it() -> None:
    """Versions at rest cost the watch nothing."""
    watch = RunWatchdog(SYSTEM_CLOCK)
    ran = threading.Semaphore(0)

    def run(batch: list[InferenceRequest], _: object) -> None:
        ran.release()

    pool = InstancePool("m/1", version().config, run, 1, SYSTEM_CLOCK, watch, linger_seconds=0.05)
    with serving(version()) as (loaded, _, sink):
        assert not watch._queues
        pool.enqueue([request(loaded, sink, "first")])
        assert {pool} == watch._queues
        assert ran.acquire(timeout=10)
        while instance_threads():
            time.sleep(0.001)
        assert not watch._queues
        pool.stop()


def test_a_version_rests_when_nothing_came_for_a_while() -> None:
    """Once, by the last of its threads; what comes meanwhile is run after that."""
    resting, may_end, ran = threading.Event(), threading.Event(), threading.Semaphore(0)
    rests: list[int] = []

    def run(batch: list[InferenceRequest], _: object) -> None:
        ran.release()

    def rest() -> None:
        rests.append(instance_threads())
        resting.set()
        assert may_end.wait(10)

    config = replace(version(instances=2).config, batching=Batching())
    pool = InstancePool("m/1", config, run, 1, SYSTEM_CLOCK, linger_seconds=0.05, rest=rest)
    with serving(version()) as (loaded, _, sink):
        pool.enqueue([request(loaded, sink, index) for index in range(2)])
        assert resting.wait(10)
        pool.enqueue([request(loaded, sink, "meanwhile")])
        may_end.set()
        for _ in range(3):
            assert ran.acquire(timeout=10)
        pool.stop()
    assert 1 == rests[0]


def test_without_a_thread_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system starts no thread, a request hears it instead of waiting for ever."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with serving(version()) as (loaded, _, sink):
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            loaded.scheduler.enqueue([request(loaded, sink, "first")])
        sink.wait(1)
        loaded.scheduler.enqueue([request(loaded, sink, "second")])
        sink.wait(1)
    assert "NO_THREAD" == sink.errors["first"].reason
    assert "second" in sink.outputs
