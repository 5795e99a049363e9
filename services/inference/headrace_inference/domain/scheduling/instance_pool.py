"""The instances of a version: threads that take what waits, run it and answer it.

Work-conserving: a free instance takes its share of what waits at once, unless a queue delay is configured.
One mutex guards the queue and the instances.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.state.records import QueuePolicy, ServingConfig
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling import batching
from headrace_inference.domain.scheduling import queue_refusals as refusals
from headrace_inference.domain.scheduling.admission import Admission, Refused
from headrace_inference.domain.scheduling.background_queue import BackgroundQueue
from headrace_inference.domain.scheduling.batch_window import BatchWindow
from headrace_inference.domain.scheduling.instance_threads import LINGER_SECONDS, Instances
from headrace_inference.domain.scheduling.ordering import ResponseOrder, Ticket
from headrace_inference.domain.scheduling.queues import (
    FifoQueue,
    RequestQueue,
    is_refused,
    open_queue,
    timeout_us,
    times_out,
)
from headrace_inference.domain.scheduling.requests import SHADOW, InferenceRequest
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped

logger = logging.getLogger(__name__)

SWEEP_AFTER_NS = 20_000_000
"""Queues whose oldest request has waited for less are not swept: all of it is about to be taken."""

RunBatch = Callable[[list[InferenceRequest], Ticket | None], None]
"""Runs a batch, waits for its ticket if it has one, and answers each of its requests, whatever happens."""


class QueueSweeper(Protocol):
    """Sweeps queues, again and again."""

    def add(self, queue: InstancePool) -> None:
        """Sweep a queue until it is removed."""

    def remove(self, queue: InstancePool) -> None:
        """Sweep a queue no more."""


class InstancePool:
    """A queue and the instance threads that empty it, up to `most_rows` of several requests at a time.

    The threads start when requests wait, and end when none did for `linger_seconds`, the last one after a
    `rest`; meanwhile the `watch` sweeps the queue. Whoever made the pool calls `stop`, which lets what
    waits finish first.
    """

    def __init__(
        self,
        name: str,
        config: ServingConfig,
        run_batch: RunBatch,
        most_rows: int,
        clock: Clock,
        watch: QueueSweeper | None = None,
        linger_seconds: float = LINGER_SECONDS,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._now_ns = clock.monotonic_ns
        self._watch = watch
        self._linger_seconds = linger_seconds
        self._rest = rest
        self._batching = config.batching
        self._run_batch = run_batch
        self._max_rows = most_rows
        self._max_in_flight = config.max_in_flight_requests
        self._delays = config.batching.max_queue_delay_microseconds > 0
        self._takes_one = False
        self._order = ResponseOrder() if config.batching.preserve_ordering else None
        self._mutex = threading.Lock()
        self._waiting: RequestQueue = open_queue(config, clock)
        self._clock = clock
        self._most_waiting = config.queue.max_requests
        self._waiting_rows = 0
        objective_ns = config.batching.latency_objective_microseconds * 1000
        self.admission = Admission(config, most_rows)
        self._window: BatchWindow | None = None
        if objective_ns:
            self._window = BatchWindow(objective_ns, most_rows, self.admission.runs)
        self._running = 0
        self._times_out = times_out(config)
        self._instances = Instances(name, config.instances, self._serve, self._watched)
        self._takes_inline = not (
            self._delays
            or self._window
            or self._order
            or self._max_in_flight
            or not isinstance(self._waiting, FifoQueue)
        )
        self._inline_runs = 0
        self._inline_ended = threading.Condition(self._mutex)
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Return how many requests wait."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Count the requests that wait or run; an inline run counts as one."""
        with self._mutex:
            return len(self._waiting) + self._running + self._inline_runs

    @property
    def expected_wait_ns(self) -> float:
        """Return how long a request would wait that came now; 0 where that is not known."""
        return self.admission.wait_ns(self._waiting_rows, self._now_ns())

    def enqueue(self, requests: Sequence[InferenceRequest]) -> None:
        """Queue requests; those over the bound, or that would wait too long, fail with RESOURCE_EXHAUSTED.

        Raises SchedulerStopped, before taking any, where the version no longer takes requests.
        """
        over_limit: Sequence[InferenceRequest] = ()
        refused: Sequence[Refused] = ()
        admission = self.admission
        if requests[0].route is SHADOW:
            admission.may_have_copies = True
        with self._mutex:
            if self._stopping:
                raise SchedulerStopped(self.name)
            if self._max_in_flight:
                requests, over_limit = self._within_limit(requests)
            if self._waiting_rows + len(requests) > admission.short_rows:
                now, rows = self._now_ns(), self._waiting_rows
                requests, refused = admission.sift(requests, self._waiting, rows, now)
            taken, over_bound = self._waiting.put(requests)
            self._waiting_rows += _rows(taken)
            stranded = self._wake_one()
        for request in stranded:
            request.fail(refusals.no_thread(self.name))
        for request, long_wait in refused:
            request.fail(refusals.wait_too_long(self.name, long_wait))
        for request in over_limit:
            wait_ns = self.expected_wait_ns
            request.fail(refusals.over_limit(self.name, self._max_in_flight, wait_ns))
        for request in over_bound:
            most = self._waiting.policy_of(request.plan).max_requests
            request.fail(refusals.queue_full(self.name, most, self.expected_wait_ns))

    def open_background(self) -> None:
        """Have background requests wait behind all others. A version that never had any pays nothing."""
        with self._mutex:
            if not isinstance(self._waiting, BackgroundQueue):
                policy = QueuePolicy(max_requests=self._most_waiting)
                self._waiting = BackgroundQueue(self._waiting, policy, self._clock)

    def stop_batching(self) -> bool:
        """From now on take one request at a time, at once. False: that was so already."""
        with self._mutex:
            if self._takes_one:
                return False
            self._takes_one = True
            self._max_rows = self.admission.max_rows = 1
            self._delays, self._window = False, None
            if self._waiting:  # it may have waited for others to come
                self._wake_one()
            return True

    def drop_unwanted(self, now_ns: int) -> None:
        """Fail those that wait and need not be run any more: callers hear, and others find room."""
        if not self._waiting:  # looked at again under the mutex: versions that rest cost nothing
            return
        with self._mutex:
            if not self._waiting or now_ns - self._waiting.oldest_ns() < SWEEP_AFTER_NS:
                return
            waiting = self._waiting.all()
        refused: dict[InferenceRequest, HeadraceError] = {}
        for request in waiting:
            if refusal := self._refusal(request, now_ns):
                refused[request] = refusal
        if not refused:
            return
        with self._mutex:
            dropped = self._waiting.take_out(refused)
            self._waiting_rows -= _rows(dropped)
        for request in dropped:
            request.fail(refused[request])

    def acquire_inline(self) -> bool:
        """Let the caller run a batch on its own thread now, past the queue; then it calls `release_inline`.

        Only while nothing waits and every instance is idle: an inline run takes the place of one.
        """
        with self._mutex:
            if not self._is_idle() or self._stopping or not self._takes_inline:
                return False
            self._inline_runs = 1
            return True

    def release_inline(self) -> None:
        """End the inline run that `acquire_inline` allowed."""
        stranded: Sequence[InferenceRequest] = ()
        with self._mutex:
            self._inline_runs = 0
            if self._waiting:
                stranded = self._wake_one()
            if self._stopping:
                self._inline_ended.notify_all()
        for request in stranded:
            request.fail(refusals.no_thread(self.name))

    def stop(self) -> None:
        """Take no more requests, finish those that wait, and end the threads. Blocks until then."""
        with self._mutex:
            self._stopping = True
            self._instances.wake_sleeping()
            self._inline_ended.wait_for(lambda: not self._inline_runs)
            threads = list(self._instances.threads)
        for thread in threads:
            thread.join()

    def _is_idle(self) -> bool:
        instances = self._instances
        alone = len(instances.sleeping) == len(instances.threads)
        return alone and not self._waiting and not self._inline_runs

    def _watched(self, active: bool) -> None:  # noqa: FBT001  # as Instances calls it
        if self._watch is not None:
            (self._watch.add if active else self._watch.remove)(self)

    def _serve(self) -> None:
        sleeper = threading.Lock()
        sleeper.acquire()
        batch: list[InferenceRequest] | None = None
        rested, rows, began, left_waiting = False, 0, 0, False
        while True:
            now = self._now_ns()
            with self._mutex:
                if batch is not None:
                    self._running -= len(batch)
                    self._learn(batch[0], rows, (began, now), left_waiting=left_waiting)
                hopeless = self._take_hopeless(now)
                rows = self._waiting_rows
                batch, wait_seconds = self._next_batch()
                rows -= self._waiting_rows
                left_waiting = self._waiting_rows > 0
                ticket = self._order.issue() if batch and self._order else None
                if batch is None and not self._waiting and (self._stopping or rested):
                    self._instances.end()
                    return
                if batch is None:
                    self._instances.sleeping.append(sleeper)
            for request in hopeless:
                request.fail(refusals.not_in_time(request, now, self.admission.rate.run_ns))
            rested = batch is None and self._sleep(sleeper, wait_seconds)
            if rested and len(self._instances.threads) == 1 and not self._waiting:
                self._rest()
            if batch is None:
                continue
            began = now
            if ticket is None:
                rows -= self._run_live(batch, None)
            else:
                rows -= self._run_in_order(batch, ticket)

    def _learn(
        self, first: InferenceRequest, rows: int, times_ns: tuple[int, int], *, left_waiting: bool
    ) -> None:
        """Learn from the run of a batch: so many rows, between these times."""
        began, now = times_ns
        if rows:
            self.admission.record_run(rows, now - began, now, left_waiting=left_waiting)
        if rows and self._window is not None:
            self._window.record_batch(first.received_ns, now)

    def _sleep(self, sleeper: threading.Lock, seconds: float) -> bool:
        """Sleep until woken, or for so long. True: nobody woke the thread."""
        if sleeper.acquire(timeout=seconds):
            return False
        with self._mutex:
            if sleeper in self._instances.sleeping:
                self._instances.sleeping.remove(sleeper)
                return True
            sleeper.acquire()  # woken between the time-out and the mutex: take the wake-up with us
            return False

    def _next_batch(self) -> tuple[list[InferenceRequest] | None, float]:
        if not self._waiting:
            if self._window is not None:
                self._window.give_up()
            return None, self._linger_seconds
        rows = self._waiting_rows
        if self._delays and not self._stopping and self._waiting[0].plan.batch_key is not None:
            now = self._now_ns()
            wait = batching.wait_before_batch(
                self._batching, rows, self._waiting[0].received_ns, now
            )
            if wait is not None:
                return None, max(0.0, (wait.until_ns - now) / 1e9)
        if (until_ns := self._end_of_window()) is not None:
            return None, max(0.0, (until_ns - self._now_ns()) / 1e9)
        most = batching.share(rows, self._instances.free + 1, self._max_rows)
        if rows > self.admission.short_rows:
            most = self.admission.most_rows(self._waiting[0], most)
        batch = batching.take(self._waiting, most)
        self._waiting_rows -= _rows(batch)
        self._running += len(batch)
        if self._waiting:
            self._wake_one()
        return batch, 0.0

    def _end_of_window(self) -> int | None:
        """Return until when to wait for more rows, by the latency objective; None: not at all."""
        if self._window is None or self._stopping or self._waiting[0].plan.batch_key is None:
            return None
        now = self._now_ns()
        if self._waiting_rows >= self._max_rows:  # many, perhaps: none of them is looked at
            return self._window.wait_until_ns(self._waiting_rows, now, now, None, now)
        waiting = self._waiting.all()
        received = [request.received_ns for request in waiting]
        deadlines = [one.deadline_ns for one in waiting if one.deadline_ns is not None]
        return self._window.wait_until_ns(
            self._waiting_rows, min(received), max(received), min(deadlines, default=None), now
        )

    def _take_hopeless(self, now_ns: int) -> Sequence[InferenceRequest]:
        """Take out what waited so long that it would be late though it were run now."""
        if self._waiting_rows <= self.admission.short_rows:
            return ()
        hopeless = self.admission.take_hopeless(self._waiting, self._waiting_rows, now_ns)
        self._waiting_rows -= _rows(hopeless)
        return hopeless

    def _wake_one(self) -> Sequence[InferenceRequest]:
        """Have a free instance take what waits; that which nobody can take, taken out."""
        if self._instances.wake_one():
            return ()
        self._waiting_rows = 0
        return self._waiting.take_out(set(self._waiting.all()))

    def _run_in_order(self, batch: list[InferenceRequest], ticket: Ticket) -> int:
        try:
            return self._run_live(batch, ticket)
        finally:
            ticket.end()

    def _run_live(self, batch: list[InferenceRequest], ticket: Ticket | None) -> int:
        """Run what is still wanted; the rows that were not."""
        now = self._now_ns()
        unwanted_rows = 0
        refused = [self._refusal(request, now) for request in batch]
        if any(refused):
            wanted = _without_refused(batch, refused)
            unwanted_rows = _rows(batch) - _rows(wanted)
            batch = wanted
        if batch:
            self._run_batch(batch, ticket)
        return unwanted_rows

    def _refusal(self, request: InferenceRequest, now_ns: int) -> HeadraceError | None:
        """Return why a request that waited is not to be run; None: run it."""
        if refusal := refusals.not_awaited(request, now_ns):
            return refusal
        if self._times_out and is_refused(self._waiting.policy_of(request.plan), request, now_ns):
            policy = self._waiting.policy_of(request.plan)
            limit_ns = timeout_us(policy, request.plan) * 1000
            waited_ns, wait_ns = now_ns - request.received_ns, self.expected_wait_ns
            return refusals.waited_too_long(waited_ns, limit_ns, wait_ns)
        return None

    def _within_limit(
        self, requests: Sequence[InferenceRequest]
    ) -> tuple[Sequence[InferenceRequest], Sequence[InferenceRequest]]:
        in_flight = self._running + len(self._waiting)
        room = max(0, self._max_in_flight - in_flight)
        if isinstance(self._waiting, BackgroundQueue):
            return self._waiting.within(requests, room, self._max_in_flight)
        return requests[:room], requests[room:]


def _rows(batch: Sequence[InferenceRequest]) -> int:
    return sum([request.plan.rows for request in batch])


def _without_refused(
    batch: Sequence[InferenceRequest], refusals: Sequence[HeadraceError | None]
) -> list[InferenceRequest]:
    """Fail those that are refused; return the others."""
    wanted = []
    for request, refusal in zip(batch, refusals, strict=True):
        if refusal is None:
            wanted.append(request)
        else:
            request.fail(refusal)
    return wanted
