"""Decides which requests are worth queueing, by how fast the queue was emptied lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.state.records import QueuePolicy, ServingConfig
from headrace_inference.domain.scheduling.drain_rate import DrainRate
from headrace_inference.domain.scheduling.queues import RequestQueue
from headrace_inference.domain.scheduling.requests import SHADOW, InferenceRequest
from headrace_inference.domain.scheduling.run_times import RunTimes

DEFAULT_MAX_WAIT_NS = 10_000_000_000
"""The longest that a request is expected to wait where its version's config sets no `queue.max_wait`."""

ORDINARY_BURST = 256
"""So many requests may wait in any case, then: a batch job's, or a load generator's, of a slow model."""

SHORT_WAIT_NS = 20_000_000
"""While the queue is shorter nobody is refused, and nothing is looked at."""

QUICK_RUN_NS = 1_000_000
"""Of runs that take less one in `LOOK_EVERY` is looked at, if it left others waiting: else that would cost
as much as it tells."""

LOOK_EVERY = 8

FAR_QUICKER = 2
"""But all are that show that rows take less than this part of what is expected: who is refused for that
leaves nobody waiting, so that nothing else would show it."""

CERTAINTY = 0.9
"""The part of a run's expected time that is relied on where few others wait: it may be quicker."""

CAUTION = 1.1
"""Its multiple that a request must have left where enough others wait to fill the batch without it."""

RUNS_IN_DEADLINE = 2
"""A run takes this part of its first request's deadline at most: who comes when one began waits for it."""

LEAST_RATE = 0.5
"""But not where smaller batches would cost the others more than this part of the rate."""


@dataclass(frozen=True, slots=True)
class LongWait:
    """The reason not to queue a request: it would wait for longer than it may.

    `limit_ns` is what its version allows, or, where `is_deadline`, what is left until its deadline.
    """

    wait_ns: float
    limit_ns: float
    is_deadline: bool = False


Refused = tuple[InferenceRequest, LongWait]


class Admission:
    """The decision for one version's queue. Its pool's mutex guards it."""

    def __init__(self, config: ServingConfig, max_rows: int = 1) -> None:
        self.rate = DrainRate(config.instances)
        self.runs = RunTimes()
        self.instances = max(1, config.instances)
        self.max_rows = max_rows
        self._least_ns = 0 if config.batching.latency_objective_microseconds else QUICK_RUN_NS
        policies = (config.queue, *config.priorities.queues.values())
        self._shortest_limit_ns = min(max_wait_ns(one, ORDINARY_BURST) for one in policies)
        self._quick_runs = 0
        self.short_rows = float("inf")
        """While no more rows wait, all requests are queued."""
        self.may_have_copies = False
        """Whether copies of other versions' requests were queued: they make nobody else wait too long."""

    def record_run(self, rows: int, took_ns: int, now_ns: int, *, left_waiting: bool) -> None:
        """Learn from a run of so many rows that is over now."""
        rate, runs = self.rate, self.runs
        if took_ns < self._least_ns:
            expected_ns = max(rows * rate.ns_per_row * self.instances, runs.of(rows))
            self._quick_runs += 1
            is_chosen = left_waiting and not self._quick_runs % LOOK_EVERY
            if not is_chosen and took_ns * FAR_QUICKER >= expected_ns:
                return
        runs.add(rows, took_ns)
        rate.record(rows, took_ns, now_ns, left_waiting=left_waiting)
        row_ns = rate.ns_per_row or took_ns / rows / self.instances
        self.short_rows = SHORT_WAIT_NS / row_ns

    def sift(
        self,
        requests: Sequence[InferenceRequest],
        waiting: RequestQueue,
        waiting_rows: int,
        now_ns: int,
    ) -> tuple[Sequence[InferenceRequest], Sequence[Refused]]:
        """Return those to queue behind so many rows, and those that would wait too long."""
        if self._are_all_in_time(requests, waiting_rows, now_ns):
            return requests, ()
        kept: list[InferenceRequest] = []
        refused: list[Refused] = []
        for request in requests:
            plan = request.plan
            ahead = waiting.rows_ahead(plan, waiting_rows)
            long_wait = self._long_wait(request, ahead, len(waiting) + len(kept), waiting, now_ns)
            if long_wait is not None and self.may_have_copies:
                ahead -= self._rows_of_copies(waiting)
                count = len(waiting) + len(kept)
                long_wait = self._long_wait(request, ahead, count, waiting, now_ns)
            if long_wait is None:
                kept.append(request)
                waiting_rows += plan.rows
            else:
                refused.append((request, long_wait))
        return kept, refused

    def _are_all_in_time(
        self, requests: Sequence[InferenceRequest], waiting_rows: int, now_ns: int
    ) -> bool:
        """Tell whether none of these would wait too long though it was behind all others; mostly so."""
        rows = waiting_rows + sum([request.plan.rows for request in requests])
        wait_ns = self.rate.wait_ns(rows, now_ns)
        if wait_ns > self._shortest_limit_ns:
            return False
        end_ns = now_ns + wait_ns + self.runs.of(self.rate.rows_of_runs)
        deadlines = [one.deadline_ns for one in requests if one.deadline_ns is not None]
        return not deadlines or min(deadlines) >= end_ns

    def take_hopeless(
        self, waiting: RequestQueue, waiting_rows: int, now_ns: int
    ) -> list[InferenceRequest]:
        """Take out of the front what would be late though it ran at once: others can use its place."""
        hopeless: list[InferenceRequest] = []
        runs = self.runs
        while len(waiting) > 1:
            deadline_ns = waiting[0].deadline_ns
            if deadline_ns is None:
                break
            usual_rows = min(self.rate.rows_of_runs, self.most_rows(waiting[0], self.max_rows))
            run_ns = runs.of(min(waiting_rows, usual_rows))
            if waiting_rows > usual_rows:
                least_ns = CAUTION * run_ns + runs.deviation_ns
            else:
                least_ns = CERTAINTY * run_ns
            if deadline_ns >= now_ns + least_ns:
                break
            request = waiting.popleft()
            waiting_rows -= request.plan.rows
            hopeless.append(request)
        return hopeless

    def most_rows(self, first: InferenceRequest, most: int) -> int:
        """Return how many rows the batch of this request may have, up to so many."""
        if first.deadline_ns is None:
            return most
        runs = self.runs
        within = runs.rows_within((first.deadline_ns - first.received_ns) / RUNS_IN_DEADLINE)
        if within >= most:
            return most
        rows = max(1, int(within))
        is_dear = rows * runs.of(most) < LEAST_RATE * most * runs.of(rows)
        return most if is_dear else rows

    def wait_ns(self, waiting_rows: int, now_ns: int) -> float:
        """Return how long a request behind so many rows is expected to wait; 0 where that is not known."""
        return self.rate.wait_ns(waiting_rows, now_ns)

    def _long_wait(
        self,
        request: InferenceRequest,
        ahead: int,
        count: int,
        waiting: RequestQueue,
        now_ns: int,
    ) -> LongWait | None:
        wait_ns = self.rate.wait_ns(ahead, now_ns)
        limit_ns = max_wait_ns(waiting.policy_of(request.plan), count)
        if wait_ns > limit_ns:
            return LongWait(wait_ns, limit_ns)
        if request.deadline_ns is None:
            return None
        most = self.most_rows(request, self.max_rows)
        if ahead < self.instances * most:
            return None  # it is in the next batch, which may grow
        left_ns = request.deadline_ns - now_ns
        run_ns = self.runs.of(min(most, self.rate.rows_of_runs))
        if wait_ns + run_ns > left_ns:
            return LongWait(wait_ns, left_ns, is_deadline=True)
        return None

    def _rows_of_copies(self, waiting: RequestQueue) -> int:
        rows = sum([one.plan.rows for one in waiting.all() if one.route == SHADOW])
        self.may_have_copies = rows > 0
        return rows


def max_wait_ns(policy: QueuePolicy, count: int) -> float:
    """Return how long a request may be expected to wait where so many requests wait."""
    if policy.max_wait_microseconds is None:
        return DEFAULT_MAX_WAIT_NS if count >= ORDINARY_BURST else float("inf")
    return policy.max_wait_microseconds * 1000 or float("inf")
