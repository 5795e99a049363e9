"""The instances of a version: threads that take what waits, run it and answer it.

Work-conserving: a free instance takes its share of what waits at once, unless a queue delay is configured.
One mutex guards the queue; idle instances sleep each on a lock of its own, so that waking one costs one
release and no thundering herd.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from headrace.errors import (
    Cancelled,
    DeadlineExceeded,
    HeadraceError,
    ResourceExhausted,
    Unavailable,
)
from headrace.state.records import Batching, QueuePolicy
from headrace_inference.domain import batching
from headrace_inference.domain.requests import Pending

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 0.1
RunBatch = Callable[[list[Pending]], None]
"""Runs a batch and answers each of its requests, whatever happens."""


class PoolClosed(Exception):
    """The version is being unloaded: ask the route again."""


class InstancePool:
    """A queue and the instance threads that empty it.

    The threads start with the pool; whoever made it calls `close`, which lets what waits finish first.
    """

    def __init__(
        self,
        name: str,
        instances: int,
        batching_config: Batching,
        queue: QueuePolicy,
        run_batch: RunBatch,
    ) -> None:
        self.name = name
        self._batching = batching_config
        self._queue = queue
        self._run_batch = run_batch
        self._max_rows = max(1, batching_config.max_batch_size)
        self._delays = batching_config.max_queue_delay_microseconds > 0
        self._mutex = threading.Lock()
        self._waiting: deque[Pending] = deque()
        self._waiting_rows = 0
        self._idle: list[threading.Lock] = []
        self._guests = 0
        self._guest_left = threading.Condition(self._mutex)
        self._closing = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-instance-{index}", daemon=True)
            for index in range(instances)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def submit(self, requests: Sequence[Pending]) -> None:
        """Queue requests; those over the bound fail with RESOURCE_EXHAUSTED.

        Raises PoolClosed, before taking any, where the version no longer takes requests.
        """
        with self._mutex:
            if self._closing:
                raise PoolClosed(self.name)
            room = self._queue.max_requests - len(self._waiting)
            taken = requests if len(requests) <= room else requests[: max(room, 0)]
            self._waiting.extend(taken)
            self._waiting_rows += sum([request.plan.rows for request in taken])
            self._wake_one()
        if len(requests) > room:
            self._refuse(requests[max(room, 0) :])

    def enter(self) -> bool:
        """Whether the caller may run a batch on its own thread now, past the queue; then it must `leave`.

        Only while nothing waits and every instance is idle: a guest takes the place of one.
        """
        with self._mutex:
            alone = len(self._idle) == len(self._threads) and not self._waiting
            if not alone or self._guests or self._closing or self._delays:
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
        while True:
            with self._mutex:
                batch, wait_seconds = self._next_batch()
                if batch is None and self._closing and not self._waiting:
                    return
                if batch is None:
                    self._idle.append(sleeper)
            if batch is None:
                self._sleep(sleeper, wait_seconds)
            else:
                self._run_live(batch)

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
        if self._delays and not self._closing:
            now = time.monotonic_ns()
            wait = batching.wait_before_batch(
                self._batching, rows, self._waiting[0].received_ns, now
            )
            if wait is not None:
                return None, max(0.0, (wait.until_ns - now) / 1e9)
        most = batching.share(rows, len(self._idle) + 1, self._max_rows)
        batch = batching.take(self._waiting, most)
        self._waiting_rows -= sum([request.plan.rows for request in batch])
        if self._waiting:
            self._wake_one()
        return batch, -1

    def _wake_one(self) -> None:
        if self._idle:
            self._idle.pop().release()

    def _run_live(self, batch: list[Pending]) -> None:
        now = time.monotonic_ns()
        live = [request for request in batch if self._is_wanted(request, now)]
        if live:
            self._run_batch(live)

    def _is_wanted(self, request: Pending, now_ns: int) -> bool:
        waited_ns = now_ns - request.received_ns
        if request.cancelled:
            request.fail(_CALLER_GONE)
            return False
        limit_ns = self._queue.timeout_microseconds * 1000
        if request.deadline_ns is not None and now_ns > request.deadline_ns:
            request.fail(_deadline_passed(waited_ns))
            return False
        if limit_ns and waited_ns > limit_ns:
            request.fail(_waited_too_long(waited_ns, limit_ns))
            return False
        return True

    def _refuse(self, requests: Iterable[Pending]) -> None:
        for request in requests:
            request.fail(self._queue_full())

    def _queue_full(self) -> HeadraceError:
        return ResourceExhausted(
            "QUEUE_FULL",
            f"Exceeds maximum queue size: {self._queue.max_requests} requests wait for {self.name}; "
            "retry later, add replicas, or push the version with a larger queue.max_requests",
            facts={"limit": str(self._queue.max_requests), "setting": "queue.max_requests"},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def shutting_down() -> HeadraceError:
    """What a request gets that comes when the replica is about to end."""
    return Unavailable(
        "REPLICA_STOPPING",
        "GRPC server is shutting down and has stopped accepting new requests.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


_CALLER_GONE = Cancelled("CANCELLED", "the caller went away before the request was run")


def _deadline_passed(waited_ns: int) -> HeadraceError:
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
