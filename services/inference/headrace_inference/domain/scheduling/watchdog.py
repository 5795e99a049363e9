"""Ends runs that nobody waits for any more, and runs that take longer than any may; and sweeps queues.

Whoever runs a batch registers it with what ends it, and takes it out again: two operations on a dictionary.
One thread sweeps what is registered, twenty times a second, and fifty while a run takes long.
"""

from __future__ import annotations

import enum
import itertools
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from headrace.errors import Cancelled, DeadlineExceeded, HeadraceError
from headrace_inference.domain.clock import Clock

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 0.02
"""A long run outlives its last caller by so much at most: one that has taken as long as this already."""

IDLE_SWEEP_SECONDS = 0.05
"""The pause where no run is long: a sweep takes some 70 µs from one of the cores that run."""

REST_FACTOR = 50
"""A sweep is followed by a rest so many times as long: long queues cost a fiftieth of a core at most."""

MAX_RUN_SECONDS = 300.0


class RunHandle(Protocol):
    """The handle of one run. One that was used to end a run is never used again."""

    terminate: bool
    """Set it to end the run, at the next node of its graph."""


class Sweepable(Protocol):
    """A place in which requests wait."""

    def drop_unwanted(self, now_ns: int) -> None:
        """Fail those that are not to be run any more."""


class Awaited(Protocol):
    """What waits or runs for a caller, who may go away or have too little time."""

    @property
    def received_ns(self) -> int:
        """Return when it came."""

    @property
    def cancelled(self) -> bool:
        """Tell whether the caller went away."""

    @property
    def deadline_ns(self) -> int | None:
        """Return when the caller waits no more."""


class TerminationReason(enum.Enum):
    """The reason to end a run."""

    ABANDONED = "nobody waits for it"
    TOO_LONG = "it takes too long"


_Run = tuple[Sequence[Awaited], RunHandle, int]
"""A batch, what ends it, and when it began; a plain tuple, for it is made for every batch."""


class RunWatchdog:
    """The runs that are under way on a replica. A limit of 0 seconds is none."""

    def __init__(self, clock: Clock, max_run_seconds: float = MAX_RUN_SECONDS) -> None:
        self._clock = clock
        self.max_run_seconds = max_run_seconds
        self._runs: dict[int, _Run] = {}
        self._queues: set[Sweepable] = set()
        self._tickets = itertools.count()

    def begin(self, batch: Sequence[Awaited], handle: RunHandle, started_ns: int) -> int:
        """Register a run; its ticket."""
        ticket = next(self._tickets)
        self._runs[ticket] = (batch, handle, started_ns)
        return ticket

    def end(self, ticket: int) -> bool:
        """Take a run out. False: it was ended, and its handle is spent."""
        return self._runs.pop(ticket, None) is not None

    def add(self, queue: Sweepable) -> None:
        """Sweep a queue, too, until it is removed."""
        self._queues.add(queue)

    def remove(self, queue: Sweepable) -> None:
        """Sweep a queue no more."""
        self._queues.discard(queue)

    def sweep(self, now_ns: int) -> None:
        """End what is to be ended as of now, and drop what need not wait any more."""
        for ticket, (batch, handle, started_ns) in self._runs.copy().items():
            reason = termination_of(batch, started_ns, now_ns, self._max_run_ns)
            # Whoever takes a run out owns its handle: without that, this could end the handle's next run.
            if reason is not None and self.end(ticket):
                handle.terminate = True
        for queue in tuple(self._queues):
            queue.drop_unwanted(now_ns)

    def error_for(self, request: Awaited, started_ns: int, now_ns: int) -> HeadraceError:
        """Return what a request gets whose run was ended."""
        ran_ms = (now_ns - started_ns) / 1e6
        if request.deadline_ns is not None and now_ns > request.deadline_ns:
            return DeadlineExceeded(
                "DEADLINE_EXCEEDED",
                f"the request's deadline passed while it ran; its run was ended after {ran_ms:.1f} ms",
            )
        if request.cancelled:
            return Cancelled("CANCELLED", "the caller went away while the request ran")
        return self._too_long(ran_ms)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sweep again and again, in a thread, while inside."""
        left = threading.Event()
        thread = threading.Thread(target=self._watch, args=(left,), name="run-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()

    def _watch(self, left: threading.Event) -> None:
        wait_seconds = SWEEP_SECONDS
        while not left.wait(wait_seconds):
            wait_seconds = self._sweep_now()

    def _sweep_now(self) -> float:
        """Sweep, and return how many seconds to rest."""
        began = self._clock.thread_ns()  # its own work: waiting for a core is no reason to rest
        try:
            self.sweep(self._clock.monotonic_ns())
        except Exception:  # else no run would ever be ended again
            logger.exception("the watchdog over runs met an unexpected error and goes on")
        took = (self._clock.thread_ns() - began) / 1e9
        is_busy = self._has_long_run(self._clock.monotonic_ns())
        return max(SWEEP_SECONDS if is_busy else IDLE_SWEEP_SECONDS, took * REST_FACTOR)

    def _has_long_run(self, now_ns: int) -> bool:
        # The first of a dictionary is the oldest.
        oldest = next(iter(self._runs.copy().values()), None)
        return oldest is not None and now_ns - oldest[2] > SWEEP_SECONDS * 1e9

    @property
    def _max_run_ns(self) -> float:
        return self.max_run_seconds * 1e9 or float("inf")

    def _too_long(self, ran_ms: float) -> HeadraceError:
        return DeadlineExceeded(
            "RUN_TOO_LONG",
            f"the run was ended after {ran_ms:.1f} ms: a run may take {self.max_run_seconds:g} s "
            "(max_run_seconds); send less at a time, or raise the replica's setting",
            facts={"limit_seconds": f"{self.max_run_seconds:g}", "setting": "max_run_seconds"},
        )


def termination_of(
    batch: Sequence[Awaited], started_ns: int, now_ns: int, max_run_ns: float
) -> TerminationReason | None:
    """Return why a run should be ended; None: let it run."""
    if now_ns - started_ns > max_run_ns:
        return TerminationReason.TOO_LONG
    return (
        None
        if any(is_awaited(request, now_ns) for request in batch)
        else TerminationReason.ABANDONED
    )


def is_awaited(request: Awaited, now_ns: int) -> bool:
    """Return whether anybody still waits for the answer to a request."""
    deadline_ns = request.deadline_ns
    return not request.cancelled and (deadline_ns is None or now_ns <= deadline_ns)
