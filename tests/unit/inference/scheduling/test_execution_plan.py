"""How a version is run where its config leaves that open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.state.records import Batching, ServingConfig, SessionOptions
from headrace_inference.domain.scheduling import execution_plan
from headrace_inference.domain.scheduling.execution_plan import (
    NO_PLAN,
    TINY_PLAN,
    ExecutionPlan,
    ThreadLayout,
)

WIDE, NARROW = ThreadLayout(1, 2), ThreadLayout(2, 1)
PROPOSED = Batching(64, allow_larger_requests=True)


@pytest.mark.parametrize(
    ("instances", "threads", "cores", "expected"),
    [
        (0, 0, 1, [(1, 1)]),
        (0, 0, 2, [(1, 2), (2, 1)]),
        (0, 0, 6, [(1, 6), (1, 4), (3, 2), (6, 1)]),
        (0, 0, 8, [(1, 8), (2, 4), (4, 2), (8, 1)]),
        (0, 3, 8, [(2, 3)]),
        (3, 0, 8, [(3, 2)]),
        (5, 4, 2, [(5, 4)]),
        (16, 0, 2, [(16, 1)]),
    ],
)
def test_layouts_use_the_cores_once(
    instances: int, threads: int, cores: int, expected: list[tuple[int, int]]
) -> None:
    """Instances times threads are at most the cores, unless the config says otherwise."""
    config = ServingConfig(instances=instances, session=SessionOptions(threads))
    assert [ThreadLayout(*pair) for pair in expected] == execution_plan.layouts(config, cores)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ((0.010, 100.0), (0.020, 101.0), WIDE),  # threads halve the latency and cost no rate
        ((0.010, 100.0), (0.0103, 150.0), NARROW),  # nothing in it for threads to share
        ((0.010, 100.0), (0.010, 101.0), NARROW),  # of equals the fewest threads a run
        ((0.010, 97.5), (0.0104, 100.0), NARROW),  # both within the slack
        ((0.010, 90.0), (0.0107, 100.0), NARROW),  # misses the rate by 8 %, or the latency by 2 %
        ((0.010, 95.0), (0.0120, 100.0), WIDE),  # misses the rate by 2 %, or the latency by 15 %
    ],
)
def test_the_layout_that_misses_latency_and_rate_least(
    wide: tuple[float, float], narrow: tuple[float, float], expected: ThreadLayout
) -> None:
    """Neither who calls alone nor who calls a lot pays much for the other."""
    latencies = {WIDE: wide[0], NARROW: narrow[0]}
    assert expected == execution_plan.best_layout(latencies, {WIDE: wide[1], NARROW: narrow[1]})


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ((0.010, 100.0), (0.020, 100.5), (WIDE, 0)),  # nothing to gain by a second session
        ((0.010, 100.0), (0.020, 105.0), (NARROW, 2)),
        ((0.010, 100.0), (0.0103, 105.0), (NARROW, 0)),  # suits lone requests as well
        ((0.010, 105.0), (0.020, 100.0), (WIDE, 0)),
        ((0.010, 105.0), (0.0099, 100.0), (WIDE, 0)),
    ],
)
def test_lone_requests_have_threads_of_their_own_where_that_pays(
    wide: tuple[float, float], narrow: tuple[float, float], expected: tuple[ThreadLayout, int]
) -> None:
    """The layout with the best rate serves the many, the quickest the lone."""
    latencies = {WIDE: wide[0], NARROW: narrow[0]}
    rates = {WIDE: wide[1], NARROW: narrow[1]}
    assert expected == execution_plan.two_layouts(latencies, rates)


def test_a_layout_far_too_slow_for_one_is_not_measured_further() -> None:
    """Its rate could not make up for it, unless lone requests have a session of their own."""
    latencies = {WIDE: 0.010, NARROW: 0.019, ThreadLayout(1, 1): 0.0149}
    assert [WIDE, ThreadLayout(1, 1)] == execution_plan.throughput_candidates(
        latencies, apart=False
    )
    assert [WIDE, NARROW, ThreadLayout(1, 1)] == execution_plan.throughput_candidates(
        latencies, apart=True
    )


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({1: 54.0, 2: 65.0, 4: 69.0, 8: 73.0, 16: 67.0, 32: 64.0}, 8),
        ({1: 54.0, 2: 65.0, 4: 72.5, 8: 73.0, 16: 67.0}, 4),  # twice the wait for nothing
        ({1: 68.0, 2: 78.0, 4: 77.5, 8: 77.0}, 2),
        ({1: 54.0, 2: 65.0, 4: 70.0, 8: 73.0}, 8),  # the last brought little, and more will not
        ({1: 54.0, 2: 65.0, 4: 70.0, 8: 74.0}, 0),
        ({1: 100.0, 2: 200.0, 4: 400.0}, 0),  # more may bring more
        ({1: 19.0, 2: 18.0, 4: 17.0}, 1),
        ({1: 54.0, 2: 65.0, 4: 73.0, 8: 67.0}, 4),
        ({8: 100.0}, 0),
    ],
)
def test_no_more_rows_at_once_than_gain_anything(rates: dict[int, float], expected: int) -> None:
    """The smallest size that runs as many rows a second as any."""
    assert expected == execution_plan.best_batch_rows(rates)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([], True),
        ([54.0, 50.0], True),
        ([54.0, 65.0, 69.0], True),
        ([54.0, 65.0, 64.0, 67.0], True),
        ([54.0, 65.0, 64.0, 66.0], False),
    ],
)
def test_sizes_grow_until_two_bring_nothing(rates: list[float], expected: bool) -> None:
    """One that brings nothing may be an outlier."""
    assert expected == execution_plan.still_scaling(rates)


@pytest.mark.parametrize(
    ("batching", "expected"),
    [
        (Batching(), 1),
        (Batching(max_batch_size=64), 8),
        (Batching(max_batch_size=4), 4),
        (Batching(max_batch_size=64, preferred_batch_sizes=(32,)), 64),
        (Batching(max_batch_size=64, max_queue_delay_microseconds=100), 64),
    ],
)
def test_what_the_config_asks_for_holds_over_what_is_efficient(
    batching: Batching, expected: int
) -> None:
    """Who sets a delay or sizes knows what they want."""
    assert expected == ExecutionPlan(1, 2, 8).most_rows(ServingConfig(batching=batching))


@pytest.mark.parametrize(
    ("batching", "expected"),
    [
        (Batching(64), 64),
        (Batching(64, allow_larger_requests=True), 4),
        (Batching(2, allow_larger_requests=True), 2),
        (Batching(64, max_queue_delay_microseconds=100, allow_larger_requests=True), 4),
    ],
)
def test_what_is_affordable_bounds_rows_that_nobody_asked_for(
    batching: Batching, expected: int
) -> None:
    """Who asks for rows gets them."""
    plan = ExecutionPlan(affordable_rows=4)
    assert expected == plan.most_rows(ServingConfig(batching=batching))


@pytest.mark.parametrize(
    ("plan", "batching", "row_bytes", "expected"),
    [
        (TINY_PLAN, PROPOSED, 2**21, 1),
        (TINY_PLAN, PROPOSED, 2**14, 16),
        (TINY_PLAN, PROPOSED, 80, 64),
        (TINY_PLAN, Batching(64), 2**21, 64),
        (ExecutionPlan(2, 1), PROPOSED, 2**21, 64),
        (NO_PLAN, PROPOSED, 2**21, 64),
    ],
)
def test_rows_of_a_tiny_run_are_as_large_as_copying_them_pays(
    plan: ExecutionPlan, batching: Batching, row_bytes: int, expected: int
) -> None:
    """Where a run takes longer, or rows were asked for, copying does not matter."""
    assert expected == plan.most_rows(ServingConfig(batching=batching), row_bytes)


@pytest.mark.parametrize(
    ("plan", "batching", "expected"),
    [
        (NO_PLAN, PROPOSED, True),
        (TINY_PLAN, PROPOSED, True),
        (NO_PLAN, Batching(64), False),
        (NO_PLAN, replace(PROPOSED, max_queue_delay_microseconds=100), False),
        (NO_PLAN, replace(PROPOSED, preferred_batch_sizes=(8,)), False),
        (ExecutionPlan(2, 1, best_batch_rows=8), PROPOSED, False),
        (ExecutionPlan(2, 1, affordable_rows=8), PROPOSED, False),
    ],
)
def test_larger_requests_share_runs_where_no_limit_is_known(
    plan: ExecutionPlan, batching: Batching, expected: bool
) -> None:
    """Neither one that was asked for nor one that was found."""
    assert expected == plan.joins_larger(ServingConfig(batching=batching))


@pytest.mark.parametrize(
    ("plan", "instances", "threads", "expected"),
    [
        (NO_PLAN, 0, 0, (1, 0)),
        (NO_PLAN, 3, 2, (3, 2)),
        (ExecutionPlan(2, 1), 0, 0, (2, 1)),
        (ExecutionPlan(2, 1), 4, 0, (4, 1)),
        (ExecutionPlan(2, 1), 0, 8, (2, 8)),
    ],
)
def test_what_the_config_says_itself_holds(
    plan: ExecutionPlan, instances: int, threads: int, expected: tuple[int, int]
) -> None:
    """A plan fills in what is open."""
    config = ServingConfig(instances=instances, session=SessionOptions(threads))
    applied = plan.applied_to(config)
    assert expected == (applied.instances, applied.session.intra_op_threads)
