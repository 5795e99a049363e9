"""Which requests are queued and which would wait too long, by what was measured before."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from headrace.state.records import Priorities, QueuePolicy, ServingConfig
from headrace_inference.domain.scheduling.admission import (
    LOOK_EVERY,
    ORDINARY_BURST,
    QUICK_RUN_NS,
    Admission,
)
from headrace_inference.domain.scheduling.queues import RequestQueue, open_queue
from headrace_inference.domain.scheduling.requests import SHADOW, InferenceRequest, RequestPlan
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import FakeClock, RecordingSink

MS = 1_000_000
RUN_MS = 100
PLAIN = ServingConfig(instances=1)
BY_DEFAULT = QueuePolicy()
PLAN = RequestPlan((0,), ((1, 2),), (np.dtype(np.float32),), (8,), 1, "key", (0,))


def waiting_one(
    left_ms: float | None = None, priority: int = 0, route: str = "stable"
) -> InferenceRequest:
    """A request that came at 0, with so much time left."""
    deadline_ns = None if left_ms is None else int(left_ms * MS)
    plan = replace(PLAN, priority=priority)
    return InferenceRequest(
        plan, [bytes(8)], route, 0, deadline_ns, VersionCounters(), RecordingSink(), None
    )


def measured(run_ms: int = RUN_MS, config: ServingConfig = PLAIN) -> Admission:
    """An admission that knows of runs of one row that took so long, up to now."""
    admission = Admission(config)
    for _ in range(20):
        admission.record_run(1, run_ms * MS, 0, left_waiting=True)
    return admission


def sift(
    admission: Admission, queue: RequestQueue, *requests: InferenceRequest
) -> tuple[int, list[tuple[int, int, bool]]]:
    """How many are kept, and the refused as wait and limit in milliseconds."""
    rows = sum(one.plan.rows for one in queue.all())
    kept, refused = admission.sift(requests, queue, rows, 0)
    waits = [
        (round(why.wait_ns / MS), round(why.limit_ns / MS), why.is_deadline) for _, why in refused
    ]
    return len(kept), waits


def queue_of(count: int, policy: QueuePolicy = BY_DEFAULT) -> RequestQueue:
    """A queue in which so many wait."""
    queue = open_queue(ServingConfig(queue=policy), FakeClock())
    queue.put([waiting_one() for _ in range(count)])
    return queue


@pytest.mark.parametrize(
    ("max_wait_ms", "count", "run_ms", "refused"),
    [
        pytest.param(None, ORDINARY_BURST - 1, RUN_MS, False, id="an ordinary burst waits 25 s"),
        pytest.param(None, ORDINARY_BURST, RUN_MS, True, id="more than that do not"),
        pytest.param(None, 300, 30, False, id="nine seconds are no long wait"),
        pytest.param(None, 300, 37, True, id="eleven are"),
        pytest.param(0, 500, RUN_MS, False, id="no limit"),
        pytest.param(500, 5, RUN_MS, False, id="at the limit that was set"),
        pytest.param(500, 6, RUN_MS, True, id="over it"),
    ],
)
def test_a_request_is_refused_over_the_longest_wait(
    max_wait_ms: int | None, count: int, run_ms: int, refused: bool
) -> None:
    """The rows ahead of it, and the time of each, tell how long it would wait."""
    max_wait = None if max_wait_ms is None else max_wait_ms * 1000
    policy = QueuePolicy(max_wait_microseconds=max_wait)
    queue = queue_of(count, policy)
    limit = 10_000 if max_wait_ms is None else max_wait_ms
    expected = (0, [(count * run_ms, limit, False)]) if refused else (1, [])
    assert expected == sift(measured(run_ms, ServingConfig(queue=policy)), queue, waiting_one())


def test_before_anything_is_measured_all_are_queued() -> None:
    """The first requests after a load meet no guess."""
    queue = queue_of(500, QueuePolicy(max_wait_microseconds=1))
    admission = Admission(ServingConfig())
    assert float("inf") == admission.short_rows
    assert (1, []) == sift(admission, queue, waiting_one(left_ms=1))


def test_of_a_burst_those_behind_the_limit_are_refused() -> None:
    """Those of a burst wait behind one another, too."""
    policy = QueuePolicy(max_wait_microseconds=200_000)
    admission = measured(config=ServingConfig(queue=policy))
    burst = [waiting_one() for _ in range(5)]
    assert (3, [(300, 200, False)] * 2) == sift(admission, queue_of(0, policy), *burst)


@pytest.mark.parametrize(
    ("left_ms", "count", "refused"),
    [
        pytest.param(1000, 8, False, id="in time"),
        pytest.param(1000, 10, True, id="late by its run"),
        pytest.param(50, 0, False, id="nobody is ahead: the estimate may be of larger batches"),
        pytest.param(None, 200, False, id="no deadline"),
    ],
)
def test_a_request_whose_deadline_is_out_of_reach_is_refused(
    left_ms: float | None, count: int, refused: bool
) -> None:
    """Its wait and its run must end before its deadline does."""
    expected = (0, [(count * RUN_MS, left_ms, True)]) if refused else (1, [])
    assert expected == sift(measured(), queue_of(count), waiting_one(left_ms))


def test_urgent_requests_do_not_wait_for_the_others() -> None:
    """Each level has its own limit, and only what goes first counts."""
    limits = {
        1: QueuePolicy(max_wait_microseconds=100_000),
        2: QueuePolicy(max_wait_microseconds=0),
    }
    config = ServingConfig(priorities=Priorities(levels=3, default_level=3, queues=limits))
    queue = open_queue(config, FakeClock())
    queue.put([waiting_one(priority=level) for level in (1, 2, 2, 2, 3)])
    admission = measured(config=config)
    assert (1, []) == sift(admission, queue, waiting_one(priority=1))
    assert (1, []) == sift(admission, queue, waiting_one(left_ms=500, priority=2))
    assert (0, [(400, 450, True)]) == sift(admission, queue, waiting_one(450, priority=2))
    queue.popleft()
    queue.take_out({queue.all()[0]})
    assert (2, 3) == (queue.rows_ahead(replace(PLAN, priority=2), 0), queue.rows_ahead(PLAN, 0))


def test_copies_for_a_shadow_make_nobody_wait_too_long() -> None:
    """Whoever calls a shadow's version is refused for what others asked of it, not for copies."""
    policy = QueuePolicy(max_wait_microseconds=500_000)
    queue = queue_of(3, policy)
    queue.put([waiting_one(route=SHADOW) for _ in range(8)])
    admission = measured(config=ServingConfig(queue=policy))
    admission.may_have_copies = True
    assert (1, []) == sift(admission, queue, waiting_one())
    queue.put([waiting_one() for _ in range(3)])
    assert (0, [(600, 500, False)]) == sift(admission, queue, waiting_one())


def test_what_would_be_late_though_it_ran_at_once_leaves_its_place() -> None:
    """From the front on, while others wait that can use the place."""
    lefts = (50, 105, 115, 20, None)
    requests = deque(waiting_one(left) for left in lefts)
    queue = open_queue(ServingConfig(), FakeClock())
    queue.put(list(requests))
    assert list(requests)[:2] == measured().take_hopeless(queue, len(queue), 0)
    alone = queue_of(0)
    alone.put([waiting_one(1)])
    assert [] == measured().take_hopeless(alone, 1, 0)


@pytest.mark.parametrize(
    ("deadline_ms", "rows"),
    [
        pytest.param(None, 64, id="no deadline"),
        pytest.param(2000, 64, id="time enough"),
        pytest.param(610, 20, id="half of it: 100 ms and 10 ms a row"),
        pytest.param(100, 64, id="too little for any: the others do not pay for it"),
    ],
)
def test_a_batch_is_small_enough_for_the_deadline_of_its_first(
    deadline_ms: float | None, rows: int
) -> None:
    """Who comes when a run has just begun waits for it, and for one that takes as long."""
    admission = Admission(PLAIN, 64)
    for size in (8, 16, 32, 64) * 10:
        admission.record_run(size, (100 + 10 * size) * MS, 0, left_waiting=True)
    assert rows == admission.most_rows(waiting_one(deadline_ms), 64)


def test_what_fits_into_the_next_batch_is_not_refused_for_its_deadline() -> None:
    """Batches could not grow that are small because few were let in."""
    admission = Admission(ServingConfig(instances=2), 64)
    for size in (1, 2) * 10:
        admission.record_run(size, (100 + size) * MS, 0, left_waiting=True)
    waiting = waiting_one(left_ms=300)
    assert (1, []) == sift(admission, queue_of(60), waiting)
    assert [True] == [late for _, _, late in sift(admission, queue_of(200), waiting)[1]]


def test_of_quick_runs_some_are_looked_at_and_lone_ones_never() -> None:
    """Measuring each would cost as much as it tells."""
    admission = Admission(PLAIN, 64)
    for _ in range(100):
        admission.record_run(1, QUICK_RUN_NS - 1, 0, left_waiting=False)
    assert 0 == admission.wait_ns(64, 0)
    for _ in range(LOOK_EVERY):
        admission.record_run(64, QUICK_RUN_NS - 1, 0, left_waiting=True)
    assert QUICK_RUN_NS - 1 == admission.wait_ns(64, 0)


def test_a_rate_that_was_far_too_low_is_found_out_by_lone_runs() -> None:
    """A first run that took ten seconds would refuse whoever has a deadline for ever."""
    admission = Admission(PLAIN, 64)
    admission.record_run(1, 10_000 * MS, 0, left_waiting=True)
    for _ in range(20):
        admission.record_run(1, MS // 10, 0, left_waiting=False)
    assert admission.wait_ns(64, 0) < 10 * MS
    assert admission.runs.of(64) < 10 * MS
