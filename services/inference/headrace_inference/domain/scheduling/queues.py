"""The requests of a version that wait, in the order in which they are to be run.

A plain version has one queue, first come, first served. One with priority levels, or whose requests are
put behind the others when they waited too long, has a queue of queues. Both have what forms a batch needs
of a deque. None of it is locked: a pool is, and calls it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Protocol

from headrace.state.records import Priorities, QueuePolicy, ServingConfig, TimeoutAction
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling.requests import InferenceRequest, RequestPlan


class RequestQueue(Protocol):
    """The waiting requests; the first element is the next to run."""

    def put(
        self, requests: Sequence[InferenceRequest]
    ) -> tuple[Sequence[InferenceRequest], Sequence[InferenceRequest]]:
        """Queue requests: those that were taken, and those that were over the bound."""

    def policy_of(self, plan: RequestPlan) -> QueuePolicy:
        """Return how requests with this plan wait."""

    def rows_ahead(self, plan: RequestPlan, waiting_rows: int) -> int:
        """Count the rows that go before a request with this plan, of so many that wait."""

    def popleft(self) -> InferenceRequest:
        """Take the next out."""

    def oldest_ns(self) -> int:
        """Return when the one that waits longest was received; there must be one."""

    def all(self) -> Sequence[InferenceRequest]:
        """All that wait: a copy."""

    def take_out(self, requests: Collection[InferenceRequest]) -> Sequence[InferenceRequest]:
        """Take these out, wherever they are: those that were still there."""

    def __getitem__(self, place: int) -> InferenceRequest:
        """The next, which is the only place that may be asked for."""

    def __len__(self) -> int:
        """Return how many wait."""


def open_queue(config: ServingConfig, clock: Clock) -> RequestQueue:
    """The queue that a version's config asks for."""
    policies = (config.queue, *config.priorities.queues.values())
    delays = any(policy.timeout_action is TimeoutAction.DELAY for policy in policies)
    if config.priorities.levels or delays:
        return PriorityQueue(config.queue, config.priorities, clock)
    return FifoQueue(config.queue)


class FifoQueue(deque[InferenceRequest]):
    """First come, first served."""

    def __init__(self, policy: QueuePolicy) -> None:
        super().__init__()
        self._policy = policy

    def put(
        self, requests: Sequence[InferenceRequest]
    ) -> tuple[Sequence[InferenceRequest], Sequence[InferenceRequest]]:
        """Queue requests: those that were taken, and those that were over the bound."""
        room = max(0, self._policy.max_requests - len(self))
        if len(requests) <= room:
            self.extend(requests)
            return requests, ()
        self.extend(requests[:room])
        return requests[:room], requests[room:]

    def policy_of(self, plan: RequestPlan) -> QueuePolicy:  # noqa: ARG002  # as the other has it
        """The same for all."""
        return self._policy

    def rows_ahead(self, plan: RequestPlan, waiting_rows: int) -> int:  # noqa: ARG002  # as above
        """All of them."""
        return waiting_rows

    def oldest_ns(self) -> int:
        """Return when the one that waits longest was received; there must be one."""
        return self[0].received_ns

    def all(self) -> Sequence[InferenceRequest]:
        """All that wait: a copy."""
        return list(self)

    def take_out(self, requests: Collection[InferenceRequest]) -> Sequence[InferenceRequest]:
        """Take these out, wherever they are: those that were still there."""
        return take_out(self, requests)


class _Level:
    """One level: those that may still wait, and behind them those that waited too long."""

    def __init__(self, policy: QueuePolicy) -> None:
        self.policy = policy
        self.on_time: deque[InferenceRequest] = deque()
        self.delayed: deque[InferenceRequest] = deque()
        self.rows = 0

    def __len__(self) -> int:
        return len(self.on_time) + len(self.delayed)

    def next_queue(self, now_ns: int) -> deque[InferenceRequest]:
        """Return where the next request is; this is not empty."""
        while self.on_time and self._is_late(self.on_time[0], now_ns):
            self.delayed.append(self.on_time.popleft())
        return self.on_time or self.delayed

    def _is_late(self, request: InferenceRequest, now_ns: int) -> bool:
        delays = self.policy.timeout_action is TimeoutAction.DELAY
        return delays and is_past_timeout(self.policy, request, now_ns)


class PriorityQueue:
    """The highest level first; within one, first come, first served."""

    def __init__(self, policy: QueuePolicy, priorities: Priorities, clock: Clock) -> None:
        self._default = max(1, priorities.default_level)
        self._now_ns = clock.monotonic_ns
        self._levels = [
            _Level(priorities.queues.get(level, policy))
            for level in range(1, max(1, priorities.levels) + 1)
        ]

    def put(
        self, requests: Sequence[InferenceRequest]
    ) -> tuple[Sequence[InferenceRequest], Sequence[InferenceRequest]]:
        """Queue requests: those that were taken, and those that were over their level's bound."""
        taken: list[InferenceRequest] = []
        over: list[InferenceRequest] = []
        for request in requests:
            level = self._level_of(request.plan)
            fits = len(level) < level.policy.max_requests
            (taken if fits else over).append(request)
            if fits:
                level.on_time.append(request)
                level.rows += request.plan.rows
        return taken, over

    def policy_of(self, plan: RequestPlan) -> QueuePolicy:
        """That of the plan's level."""
        return self._level_of(plan).policy

    def rows_ahead(self, plan: RequestPlan, waiting_rows: int) -> int:  # noqa: ARG002  # it has its own
        """Those of the plan's level and of higher ones."""
        return sum([level.rows for level in self._levels[: self._place_of(plan) + 1]])

    def popleft(self) -> InferenceRequest:
        """Take the next out."""
        level = self._next_level()
        request = level.next_queue(self._now_ns()).popleft()
        level.rows -= request.plan.rows
        return request

    def oldest_ns(self) -> int:
        """Return when the one that waits longest was received; there must be one."""
        return min(queue[0].received_ns for queue in self._queues() if queue)

    def all(self) -> Sequence[InferenceRequest]:
        """All that wait: a copy."""
        return [request for queue in self._queues() for request in queue]

    def take_out(self, requests: Collection[InferenceRequest]) -> Sequence[InferenceRequest]:
        """Take these out, wherever they are: those that were still there."""
        out: list[InferenceRequest] = []
        for level in self._levels:
            taken = take_out(level.on_time, requests) + take_out(level.delayed, requests)
            level.rows -= sum([request.plan.rows for request in taken])
            out += taken
        return out

    def __getitem__(self, place: int) -> InferenceRequest:
        """The next, which is the only place that may be asked for."""
        return self._next_level().next_queue(self._now_ns())[place]

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._levels))

    def _queues(self) -> list[deque[InferenceRequest]]:
        return [queue for level in self._levels for queue in (level.on_time, level.delayed)]

    def _next_level(self) -> _Level:
        return next(level for level in self._levels if len(level))

    def _level_of(self, plan: RequestPlan) -> _Level:
        return self._levels[self._place_of(plan)]

    def _place_of(self, plan: RequestPlan) -> int:
        known = 1 <= plan.priority <= len(self._levels)
        return (plan.priority if known else self._default) - 1


def take_out(
    queue: deque[InferenceRequest], requests: Collection[InferenceRequest]
) -> list[InferenceRequest]:
    """Take these out of a queue, wherever they are: those that were still there."""
    taken = [request for request in queue if request in requests]
    kept = [request for request in queue if request not in requests]
    queue.clear()
    queue.extend(kept)
    return taken


class HasTimeout(Protocol):
    """A request that may say how long it waits at most."""

    @property
    def timeout_us(self) -> int:
        """Return that in microseconds; 0: it does not say."""


def timeout_us(policy: QueuePolicy, plan: HasTimeout) -> int:
    """Return how long a request with this plan may wait; 0: as long as it likes.

    A request may shorten what the policy says, and not lengthen it.
    """
    limit = policy.timeout_microseconds
    own = plan.timeout_us if policy.allow_timeout_override else 0
    return min(own, limit) if own and limit else own or limit


def times_out(config: ServingConfig) -> bool:
    """Return whether any request of a version may have a time after which it is refused."""
    return any(
        policy.timeout_microseconds or policy.allow_timeout_override
        for policy in (config.queue, *config.priorities.queues.values())
    )


def is_refused(policy: QueuePolicy, request: InferenceRequest, now_ns: int) -> bool:
    """Return whether a request is to be refused, for it waited longer than it may."""
    refuses = policy.timeout_action is TimeoutAction.REJECT
    return refuses and is_past_timeout(policy, request, now_ns)


def is_past_timeout(policy: QueuePolicy, request: InferenceRequest, now_ns: int) -> bool:
    """Return whether a request has waited longer than it may."""
    limit_us = timeout_us(policy, request.plan)
    return bool(limit_us) and now_ns - request.received_ns > limit_us * 1000
