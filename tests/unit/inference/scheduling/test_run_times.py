"""How long runs take by their rows, as learnt from runs."""

from __future__ import annotations

import random

import pytest

from headrace_inference.domain.scheduling.run_times import RunTimes

MS = 1_000_000


def test_nothing_is_known_before_the_first_run() -> None:
    """Whoever asks is not held up by a guess."""
    times = RunTimes()
    assert (0, float("inf")) == (times.of(64), times.rows_within(MS))


def test_runs_of_one_size_say_each_row_costs_its_part() -> None:
    """Nobody knows what a run costs without its rows."""
    times = RunTimes()
    for _ in range(20):
        times.add(50, 500 * MS)
    assert pytest.approx((10 * MS, 500 * MS)) == (times.of(1), times.of(50))
    assert pytest.approx(25) == times.rows_within(250 * MS)


def test_runs_of_several_sizes_tell_what_a_run_and_a_row_cost() -> None:
    """With a tenth of noise the line is at most a fifth off."""
    chosen, times = random.Random(0), RunTimes()
    for _ in range(200):
        rows = chosen.randint(1, 64)
        times.add(rows, (50 + 12 * rows) * MS * chosen.gauss(1, 0.1))
    assert pytest.approx((302 * MS, 818 * MS), rel=0.2) == (times.of(21), times.of(64))
    assert pytest.approx(21, rel=0.2) == times.rows_within(302 * MS)
    assert 20 * MS < times.deviation_ns < 80 * MS


def test_rows_that_cost_nothing_have_no_limit_and_too_little_time_has_no_rows() -> None:
    """A line may be level, and no row fits into less than an empty run."""
    times = RunTimes()
    for rows in (1, 64) * 10:
        times.add(rows, 100 * MS)
    assert (0, float("inf")) == (times.rows_within(99 * MS), times.rows_within(101 * MS))


def test_a_run_that_took_an_hour_counts_a_few_times() -> None:
    """A process that was stopped spoils no estimate."""
    times = RunTimes()
    for _ in range(20):
        times.add(1, 80 * MS)
    times.add(1, 3600 * 1000 * MS)
    assert times.of(1) < 250 * MS


def test_a_second_run_that_is_far_off_is_believed() -> None:
    """A model that is quick again after a stall, or slow for good, is known after two runs."""
    times = RunTimes()
    for took_ms in (10_000, 0.1, 0.1):
        times.add(1, took_ms * MS)
    assert 0.1 * MS == times.of(1)
    assert 0 == times.deviation_ns
