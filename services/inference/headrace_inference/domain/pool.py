"""The instances of a version: threads that take what waits, run it and answer it.

Work-conserving: a free instance takes its share of what waits at once, unless a queue delay is configured.
One mutex guards the queue; idle instances sleep each on a lock of its own, so that waking one costs one
release and no thundering herd.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from headrace.errors import (
    Cancelled,
    DeadlineExceeded,
    HeadraceError,
    ResourceExhausted,
    Unavailable,
)
from headrace.state.records import ServingConfig
from headrace_inference.domain import batching
from headrace_inference.domain.requests import Pending
from headrace_inference.domain.turns import Turn, Turns
from headrace_inference.domain.waiting import (
    FifoQueue,
    is_refused,
    open_queue,
    timeout_us,
    times_out,
)

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 0.1
LOOKED_AT_NS = 20_000_000
"""Where the oldest request has waited for less, all of them are about to be taken: nobody looks at them."""

RunBatch = Callable[[list[Pending], Turn | None], None]
"""Runs a batch, waits for its turn if it has one, and answers each of its requests, whatever happens."""


class PoolClosed(Exception):
    """The version is being unloaded: ask the route again."""


class InstancePool:
    """A queue and the instance threads that empty it, up to `most_rows` of several requests at a time.

    The threads start with the pool; whoever made it calls `close`, which lets what waits finish first.
    """

    def __init__(
        self,
        name: str,
        config: ServingConfig,
        run_batch: RunBatch,
        most_rows: int,
    ) -> None:
        self.name = name
        self._batching = config.batching
        self._run_batch = run_batch
        self._max_rows = most_rows
        self._max_in_flight = config.max_in_flight_requests
        self._delays = config.batching.max_queue_delay_microseconds > 0
        self._takes_one = False
        self._turns = Turns() if config.batching.preserve_ordering else None
        self._mutex = threading.Lock()
        self._waiting = open_queue(config)
        self._waiting_rows = 0
        self._running = 0
        self._times_out = times_out(config)
        self._idle: list[threading.Lock] = []
        self._takes_guests = not (
            self._delays
            or self._turns
            or self._max_in_flight
            or not isinstance(self._waiting, FifoQueue)
        )
        self._guests = 0
        self._guest_left = threading.Condition(self._mutex)
        self._closing = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-instance-{index}", daemon=True)
            for index in range(config.instances)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and every instance sleeps."""
        with self._mutex:
            return len(self._idle) == len(self._threads) and not self._waiting

    def submit(self, requests: Sequence[Pending]) -> None:
        """Queue requests; those over the bound fail with RESOURCE_EXHAUSTED.

        Raises PoolClosed, before taking any, where the version no longer takes requests.
        """
        over_limit: Sequence[Pending] = ()
        with self._mutex:
            if self._closing:
                raise PoolClosed(self.name)
            if self._max_in_flight:
                requests, over_limit = self._within_limit(requests)
            taken, over_bound = self._waiting.put(requests)
            self._waiting_rows += sum([request.plan.rows for request in taken])
            self._wake_one()
        for request in over_limit:
            request.fail(self._over_limit())
        for request in over_bound:
            request.fail(self._queue_full(request))

    def stop_batching(self) -> bool:
        """From now on take one request at a time, at once. False: that was so already."""
        with self._mutex:
            if self._takes_one:
                return False
            self._takes_one = True
            self._max_rows, self._delays = 1, False
            if self._waiting:  # it may have waited for others to come
                self._wake_one()
            return True

    def drop_unwanted(self, now_ns: int) -> None:
        """Fail those that wait and need not be run any more: callers hear, and others find room."""
        if not self._waiting:  # looked at again under the mutex: versions that rest cost nothing
            return
        with self._mutex:
            if not self._waiting or now_ns - self._waiting.oldest_ns() < LOOKED_AT_NS:
                return
            waiting = self._waiting.all()
        refusals: dict[Pending, HeadraceError] = {}
        for request in waiting:
            if refusal := self._refusal(request, now_ns):
                refusals[request] = refusal
        if not refusals:
            return
        with self._mutex:
            dropped = self._waiting.take_out(refusals)
            self._waiting_rows -= sum([request.plan.rows for request in dropped])
        for request in dropped:
            request.fail(refusals[request])

    def enter(self) -> bool:
        """Whether the caller may run a batch on its own thread now, past the queue; then it must `leave`.

        Only while nothing waits and every instance is idle: a guest takes the place of one.
        """
        with self._mutex:
            alone = len(self._idle) == len(self._threads) and not self._waiting
            if not alone or self._guests or self._closing or not self._takes_guests:
                return False
            self._guests = 1
            return True

    def leave(self) -> None:
        """The guest's batch is answered."""
        with self._mutex:
            self._guests = 0
            if self._waiting:
                self._wake_one()
            if self._closing:
                self._guest_left.notify_all()

    def close(self) -> None:
        """Take no more requests, finish those that wait, and end the threads. Blocks until then."""
        with self._mutex:
            self._closing = True
            while self._idle:
                self._wake_one()
            self._guest_left.wait_for(lambda: not self._guests)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        sleeper = threading.Lock()
        sleeper.acquire()
        batch: list[Pending] | None = None
        while True:
            with self._mutex:
                if batch is not None:
                    self._running -= len(batch)
                batch, wait_seconds = self._next_batch()
                turn = self._turns.take() if batch and self._turns else None
                if batch is None and self._closing and not self._waiting:
                    return
                if batch is None:
                    self._idle.append(sleeper)
            if batch is None:
                self._sleep(sleeper, wait_seconds)
            elif turn is None:
                self._run_live(batch, None)
            else:
                self._run_in_turn(batch, turn)

    def _sleep(self, sleeper: threading.Lock, seconds: float) -> None:
        if sleeper.acquire(timeout=seconds):
            return
        with self._mutex:
            if sleeper in self._idle:
                self._idle.remove(sleeper)
            else:  # woken between the time-out and the mutex: take the wake-up with us
                sleeper.acquire()

    def _next_batch(self) -> tuple[list[Pending] | None, float]:
        if not self._waiting:
            return None, -1
        rows = self._waiting_rows
        if self._delays and not self._closing and self._waiting[0].plan.batch_key is not None:
            now = time.monotonic_ns()
            wait = batching.wait_before_batch(
                self._batching, rows, self._waiting[0].received_ns, now
            )
            if wait is not None:
                return None, max(0.0, (wait.until_ns - now) / 1e9)
        most = batching.share(rows, len(self._idle) + 1, self._max_rows)
        batch = batching.take(self._waiting, most)
        self._waiting_rows -= sum([request.plan.rows for request in batch])
        self._running += len(batch)
        if self._waiting:
            self._wake_one()
        return batch, -1

    def _wake_one(self) -> None:
        if self._idle:
            self._idle.pop().release()

    def _run_in_turn(self, batch: list[Pending], turn: Turn) -> None:
        try:
            self._run_live(batch, turn)
        finally:
            turn.end()

    def _run_live(self, batch: list[Pending], turn: Turn | None) -> None:
        now = time.monotonic_ns()
        refusals = [self._refusal(request, now) for request in batch]
        if any(refusals):
            batch = _settled(batch, refusals)
        if batch:
            self._run_batch(batch, turn)

    def _refusal(self, request: Pending, now_ns: int) -> HeadraceError | None:
        """Why a request that waited is not to be run; None: run it."""
        if refusal := not_awaited(request, now_ns):
            return refusal
        if self._times_out and is_refused(self._waiting.policy_of(request.plan), request, now_ns):
            policy = self._waiting.policy_of(request.plan)
            limit_ns = timeout_us(policy, request.plan) * 1000
            return _waited_too_long(now_ns - request.received_ns, limit_ns)
        return None

    def _within_limit(
        self, requests: Sequence[Pending]
    ) -> tuple[Sequence[Pending], Sequence[Pending]]:
        room = max(0, self._max_in_flight - self._running - len(self._waiting))
        return requests[:room], requests[room:]

    def _queue_full(self, request: Pending) -> HeadraceError:
        most = self._waiting.policy_of(request.plan).max_requests
        return ResourceExhausted(
            "QUEUE_FULL",
            f"Exceeds maximum queue size: {most} requests wait for {self.name}; "
            "retry later, add replicas, or push the version with a larger queue.max_requests",
            facts={"limit": str(most), "setting": "queue.max_requests"},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )

    def _over_limit(self) -> HeadraceError:
        most = self._max_in_flight
        return ResourceExhausted(
            "MAX_IN_FLIGHT_REACHED",
            f"{most} requests wait or run for {self.name}, as many as may; retry later, add replicas, or "
            "push the version with a larger max_in_flight_requests",
            facts={"limit": str(most), "setting": "max_in_flight_requests"},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def _settled(batch: Sequence[Pending], refusals: Sequence[HeadraceError | None]) -> list[Pending]:
    """Tell those that are refused; the others."""
    wanted = []
    for request, refusal in zip(batch, refusals, strict=True):
        if refusal is None:
            wanted.append(request)
        else:
            request.fail(refusal)
    return wanted


def shutting_down() -> HeadraceError:
    """What a request gets that comes when the replica is about to end."""
    return Unavailable(
        "REPLICA_STOPPING",
        "GRPC server is shutting down and has stopped accepting new requests.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


CALLER_GONE = Cancelled("CANCELLED", "the caller went away before the request was run")
"""What a request gets that was cancelled."""


def not_awaited(request: Pending, now_ns: int) -> HeadraceError | None:
    """Why nobody waits for a request any more; None: somebody does."""
    if request.cancelled:
        return CALLER_GONE
    if request.deadline_ns is not None and now_ns > request.deadline_ns:
        return deadline_passed(now_ns - request.received_ns)
    return None


def deadline_passed(waited_ns: int) -> HeadraceError:
    """What a request gets whose deadline passed before it was run."""
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        f"the request's deadline passed after {waited_ns / 1e6:.1f} ms in the queue; it was not run",
    )


def _waited_too_long(waited_ns: int, limit_ns: int) -> HeadraceError:
    return DeadlineExceeded(
        "QUEUE_TIMEOUT",
        f"Request timeout expired: {waited_ns / 1e6:.1f} ms in the queue, "
        f"allowed are {limit_ns / 1e6:.1f} ms (queue.timeout)",
        facts={"setting": "queue.timeout"},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
