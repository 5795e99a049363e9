"""A queue with requests behind it that run when no others wait: those of batches beside live traffic.

Whatever waits in the queue goes first, of all its levels. Requests of the background share no run with
others, are refused first where there is no room, and keep none of it from others. So that they do not wait
for ever where others always do, one run of theirs goes ahead each second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from headrace.state.records import QueuePolicy
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling.queues import RequestQueue, take_out
from headrace_inference.domain.scheduling.requests import (
    BACKGROUND,
    InferenceRequest,
    RequestPlan,
)

PATIENCE_NS = 1_000_000_000
"""While others always wait, one request of the background goes ahead after so long."""
IN_FLIGHT_SHARE = 2
"""Of `max_in_flight_requests` the background has one part in so many at most."""


class BackgroundQueue:
    """A queue, and behind it those of the background: first come, first served."""

    def __init__(self, live: RequestQueue, policy: QueuePolicy, clock: Clock) -> None:
        self._live = live
        self._background: deque[InferenceRequest] = deque()
        self._rows = 0
        self._policy = policy
        self._now_ns = clock.monotonic_ns
        self._taken_ns = 0

    def put(
        self, requests: Sequence[InferenceRequest]
    ) -> tuple[Sequence[InferenceRequest], Sequence[InferenceRequest]]:
        """Queue requests: those that were taken, and those that were over the bound."""
        background = [one for one in requests if is_background(one.plan)]
        if not background:
            return self._live.put(requests)
        taken, over = self._live.put([one for one in requests if not is_background(one.plan)])
        room = max(0, self._policy.max_requests - len(self))
        fitting = background[:room]
        self._background.extend(fitting)
        self._rows += sum([one.plan.rows for one in fitting])
        return [*taken, *fitting], [*over, *background[room:]]

    def within(
        self, requests: Sequence[InferenceRequest], room: int, most: int
    ) -> tuple[Sequence[InferenceRequest], Sequence[InferenceRequest]]:
        """The requests that fit into so much room, of so many in flight; what waits behind takes none."""
        fitting: list[InferenceRequest] = []
        over: list[InferenceRequest] = []
        behind = most - most // IN_FLIGHT_SHARE
        for request in requests:
            if is_background(request.plan):
                fits = room - len(fitting) > behind
            else:
                fits = room - len(fitting) + len(self._background) > 0
            (fitting if fits else over).append(request)
        return fitting, over

    def policy_of(self, plan: RequestPlan) -> QueuePolicy:
        """Those of the background wait for as long as their callers do."""
        return self._policy if is_background(plan) else self._live.policy_of(plan)

    def rows_ahead(self, plan: RequestPlan, waiting_rows: int) -> int:
        """All, for those of the background; of it, none for others."""
        if is_background(plan):
            return waiting_rows
        return self._live.rows_ahead(plan, waiting_rows - self._rows)

    def popleft(self) -> InferenceRequest:
        """Take the next out."""
        if not self._is_background_next():
            return self._live.popleft()
        self._taken_ns = self._now_ns()
        request = self._background.popleft()
        self._rows -= request.plan.rows
        return request

    def oldest_ns(self) -> int:
        """Return when the one that waits longest was received; there must be one."""
        if not self._background:
            return self._live.oldest_ns()
        oldest = self._background[0].received_ns
        return min(oldest, self._live.oldest_ns()) if len(self._live) else oldest

    def all(self) -> Sequence[InferenceRequest]:
        """All that wait: a copy."""
        return [*self._live.all(), *self._background]

    def take_out(self, requests: Collection[InferenceRequest]) -> Sequence[InferenceRequest]:
        """Take these out, wherever they are: those that were still there."""
        out = take_out(self._background, requests)
        self._rows -= sum([request.plan.rows for request in out])
        return [*self._live.take_out(requests), *out]

    def __getitem__(self, place: int) -> InferenceRequest:
        """The next, which is the only place that may be asked for."""
        return (self._background if self._is_background_next() else self._live)[place]

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._live) + len(self._background)

    def _is_background_next(self) -> bool:
        if not self._background:
            return False
        if not len(self._live):
            return True
        since_ns = max(self._taken_ns, self._background[0].received_ns)
        return self._now_ns() - since_ns > PATIENCE_NS


def is_background(plan: RequestPlan) -> bool:
    """Tell whether a request waits behind all others."""
    return plan.priority == BACKGROUND
