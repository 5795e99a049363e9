"""Which runs are ended, and what their requests are told."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from headrace.state.records import Batching
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.scheduling.requests import Array, InferenceRequest
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.watchdog import (
    IDLE_SWEEP_SECONDS,
    REST_FACTOR,
    SWEEP_SECONDS,
    RunHandle,
    RunWatchdog,
    TerminationReason,
    termination_of,
)
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import DoublingRunner, FakeClock, Handle, RecordingSink, version
from tests.unit.inference.scheduling.pools import request

GONE, LATE, PATIENT, ENDLESS = "gone", "late", "patient", "endless"


def waiting(kind: str, now_ns: int) -> InferenceRequest:
    """A request whose caller has gone, whose deadline has passed or will, or without a deadline."""
    deadline_ns = {LATE: now_ns - 1, PATIENT: now_ns + 1}.get(kind)
    loaded = LoadedVersion(version(), DoublingRunner(), VersionCounters(), SYSTEM_CLOCK)
    try:
        made = request(loaded, RecordingSink(), kind, deadline_ns=deadline_ns)
    finally:
        loaded.close()
    made.cancelled = kind == GONE
    return made


@pytest.mark.parametrize(
    ("kinds", "ran_ns", "expected"),
    [
        ([PATIENT], 10, None),
        ([ENDLESS], 10, None),
        ([LATE], 10, TerminationReason.ABANDONED),
        ([GONE, LATE], 10, TerminationReason.ABANDONED),
        ([GONE, LATE, PATIENT], 10, None),
        ([ENDLESS, GONE], 10, None),
        ([PATIENT], 101, TerminationReason.TOO_LONG),
        ([GONE], 101, TerminationReason.TOO_LONG),
    ],
)
def test_a_run_is_ended_when_nobody_waits_or_it_takes_too_long(
    kinds: list[str], ran_ns: int, expected: TerminationReason | None
) -> None:
    """One caller who waits keeps a batch alive, up to the limit."""
    batch = [waiting(kind, now_ns=1000) for kind in kinds]
    assert expected == termination_of(batch, 1000 - ran_ns, 1000, max_run_ns=100)


def test_a_handle_that_ended_a_run_is_spent() -> None:
    """Who takes the run out first, the watch or the run itself, decides alone."""
    watch, handle = RunWatchdog(SYSTEM_CLOCK), Handle()
    ticket = watch.begin([waiting(GONE, 1000)], handle, 0)
    watch.sweep(1000)
    assert (True, False) == (handle.terminate, watch.end(ticket))


def test_a_run_that_is_over_is_not_ended() -> None:
    """Its handle may serve the next one."""
    watch, handle = RunWatchdog(SYSTEM_CLOCK), Handle()
    ticket = watch.begin([waiting(GONE, 1000)], handle, 0)
    assert watch.end(ticket)
    watch.sweep(1000)
    assert not handle.terminate


def test_a_watchdog_sweeps_the_queues_of_versions_that_are_open() -> None:
    """What waits behind a long run is dropped in time."""
    watch, runner, sink = RunWatchdog(SYSTEM_CLOCK), EndlessRunner(), RecordingSink()
    loaded = LoadedVersion(version(), runner, VersionCounters(), SYSTEM_CLOCK, watch)
    with watch.watching():
        running = request(loaded, sink, "running")
        loaded.scheduler.enqueue([running])
        assert runner.entered.acquire(timeout=10)
        soon = time.monotonic_ns() + 1_000_000
        loaded.scheduler.enqueue([request(loaded, sink, "late", deadline_ns=soon)])
        sink.wait(1)
        assert ["late"] == list(sink.errors)
        running.cancelled = True
        sink.wait(1)
        loaded.close()
    assert not watch._queues


class EndlessRunner(DoublingRunner):
    """Runs that end only by their handles."""

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        assert isinstance(handle, Handle)
        self.entered.release()
        assert handle.ended.wait(10)
        raise RunFailed("terminated")


@pytest.mark.parametrize(
    ("deadline_seconds", "cancel", "reason"),
    [(60.0, False, "DEADLINE_EXCEEDED"), (None, True, "CANCELLED"), (None, False, "RUN_TOO_LONG")],
)
def test_requests_of_an_ended_run_are_told_why(
    deadline_seconds: float | None, cancel: bool, reason: str
) -> None:
    """By their own deadlines, by their callers, or by the replica's limit."""
    clock, runner, sink = FakeClock(), EndlessRunner(), RecordingSink()
    watchdog = RunWatchdog(clock, max_run_seconds=300.0)
    loaded = LoadedVersion(
        version(batching=Batching(8)), runner, VersionCounters(), clock, watchdog
    )
    deadline_ns = None if deadline_seconds is None else int(deadline_seconds * 1e9)
    pending = request(loaded, sink, "only", deadline_ns=deadline_ns)
    loaded.scheduler.enqueue([pending])
    assert runner.entered.acquire(timeout=10)
    watchdog.sweep(clock.monotonic_ns())
    assert {} == sink.errors
    pending.cancelled = cancel
    clock.advance(0 if cancel else deadline_seconds or 300)
    clock.now_ns += 1
    watchdog.sweep(clock.monotonic_ns())
    sink.wait(1)
    loaded.close()

    assert reason == sink.errors["only"].reason
    assert {reason: 1} == dict(loaded.statistics.totals().errors)


def test_a_watchdog_sweeps_seldom_while_no_run_is_long() -> None:
    """It rests by what its sweeps cost, and looks more often once a run has taken a while."""
    clock = FakeClock()
    watchdog = RunWatchdog(clock)
    assert IDLE_SWEEP_SECONDS == watchdog._sweep_now()
    watchdog.begin([waiting(ENDLESS, 0)], Handle(), clock.now_ns)
    assert IDLE_SWEEP_SECONDS == watchdog._sweep_now()
    clock.advance(2 * SWEEP_SECONDS)
    assert SWEEP_SECONDS == watchdog._sweep_now()
    watchdog.add(Slow(clock))
    assert REST_FACTOR * 0.5 == watchdog._sweep_now()


class Slow:
    """A queue whose sweep takes half a second."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def drop_unwanted(self, now_ns: int) -> None:
        self._clock.advance(0.5)
