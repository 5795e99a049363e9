"""How fast a queue is emptied, by runs of all kinds; times are passed in."""

from __future__ import annotations

import random

import pytest

from headrace_inference.domain.scheduling.drain_rate import OUTLIER, STALE_NS, DrainRate

MS = 1_000_000


def measured(rows: int, took_ns: int, *, instances: int = 1, runs: int = 20) -> DrainRate:
    """A rate after so many runs in a row that left others waiting."""
    rate = DrainRate(instances)
    for run in range(1, runs + 1):
        rate.record(rows, took_ns, run * took_ns, left_waiting=True)
    return rate


def test_nothing_is_expected_before_a_run_left_others_waiting() -> None:
    """A lone request says little of what batches take."""
    rate = DrainRate(1)
    rate.record(1, 80 * MS, 80 * MS, left_waiting=False)
    assert (0, 0) == (rate.ns_per_row, rate.wait_ns(4096, 80 * MS))


@pytest.mark.parametrize(
    ("rows", "took_ms", "instances", "wait_ms"),
    [
        pytest.param(1, 80, 1, 8000, id="one at a time"),
        pytest.param(1, 80, 2, 4000, id="two at a time"),
        pytest.param(50, 500, 1, 1000, id="in batches"),
        pytest.param(10_000, 100_000, 1, 1000, id="in large requests"),
    ],
)
def test_a_hundred_rows_wait_for_their_runs(
    rows: int, took_ms: int, instances: int, wait_ms: int
) -> None:
    """Rows, the time of their run, and the instances that share them tell the wait."""
    rate = measured(rows, took_ms * MS, instances=instances)
    assert pytest.approx(wait_ms * MS) == rate.wait_ns(100, 20 * took_ms * MS)


def test_batches_of_varying_rows_and_shapes_are_averaged() -> None:
    """Every tenth row takes thirty times as long: the wait of many is that of their mean."""
    chosen, rate, now, rows_done = random.Random(0), DrainRate(1), 0, 0
    for _ in range(2000):
        rows = chosen.randint(1, 8)
        took = sum(30 * MS if chosen.random() < 0.1 else MS for _ in range(rows))
        now, rows_done = now + took, rows_done + rows
        rate.record(rows, took, now, left_waiting=True)
    assert pytest.approx(now / rows_done, rel=0.5) == rate.ns_per_row


@pytest.mark.parametrize(("before_ms", "after_ms"), [(80, 400), (400, 80), (1, 100), (100, 1)])
def test_the_rate_follows_when_other_work_comes_or_goes(before_ms: int, after_ms: int) -> None:
    """After twenty runs of the new kind it is at most a third off."""
    rate = measured(1, before_ms * MS)
    now = 20 * before_ms * MS
    for _ in range(20 if after_ms * OUTLIER > before_ms else 24):
        now += after_ms * MS
        rate.record(1, after_ms * MS, now, left_waiting=True)
    assert pytest.approx(after_ms * MS, rel=0.34) == rate.ns_per_row


def test_one_run_that_took_an_hour_is_doubted() -> None:
    """A process that was stopped, or a laptop that slept, spoils no estimate."""
    rate = measured(1, 80 * MS)
    rate.record(1, 3600 * 1000 * MS, 3602 * 1000 * MS, left_waiting=True)
    assert rate.ns_per_row < 250 * MS


def test_a_second_one_is_believed_and_forgotten_when_it_is_over() -> None:
    """What became very slow is known after two runs, and so is that it is quick again."""
    rate = measured(1, 80 * MS)
    for _ in range(2):
        rate.record(1, 60_000 * MS, 120_000 * MS, left_waiting=True)
    assert 60_000 * MS == rate.ns_per_row
    for _ in range(2):
        rate.record(1, 80 * MS, 120_000 * MS, left_waiting=False)
    assert 80 * MS == rate.ns_per_row


def test_lone_runs_count_where_they_are_quicker_than_expected() -> None:
    """Else a rate that refuses all who would wait could never be found to be better."""
    rate = measured(1, 80 * MS)
    for run in range(150):
        rate.record(1, 20 * MS, (2000 + run) * MS, left_waiting=False)
        rate.record(1, 200 * MS, (2000 + run) * MS, left_waiting=False)
    assert pytest.approx(20 * MS, rel=0.1) == rate.ns_per_row


def test_an_hour_of_pause_is_no_run_and_makes_the_rate_old() -> None:
    """An old rate counts half; the first new run replaces it."""
    rate = measured(1, 80 * MS)
    hour = 3600 * 1000 * MS
    waits = rate.wait_ns(1, STALE_NS), rate.wait_ns(1, hour)
    assert pytest.approx((80 * MS, 40 * MS)) == waits
    rate.record(1, 20 * MS, hour, left_waiting=True)
    assert 20 * MS == rate.wait_ns(1, hour)
