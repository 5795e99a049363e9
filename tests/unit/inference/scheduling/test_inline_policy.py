"""What the receiving thread runs itself."""

from __future__ import annotations

import itertools

import pytest

from headrace_inference.domain.scheduling.inline_policy import InlinePolicy

POLICY = InlinePolicy(
    max_run_ns=250, max_burst_ns=1000, max_idle_run_ns=900, idle_calls=3, waited_ns=30, stall_ns=20
)
BUSY, IDLE = 2, 3


@pytest.mark.parametrize(
    ("expected_ns", "runs", "single_calls", "inline"),
    [
        (float("inf"), 1, IDLE, False),  # nothing is known yet
        (250, 1, 0, True),
        (251, 1, BUSY, False),
        (251, 1, IDLE, True),
        (900, 1, IDLE, True),
        (901, 1, IDLE, False),
        (250, 4, 0, True),
        (250, 5, 0, False),
        (200, 5, 0, True),
        (0, 1000, 0, True),
    ],
)
def test_what_runs_inline(expected_ns: float, runs: int, single_calls: int, inline: bool) -> None:
    """Short runs, few of them; longer ones while calls come one at a time."""
    assert inline == POLICY.runs_inline(expected_ns, runs, single_calls)


@pytest.mark.parametrize(
    ("bursts", "counts"),
    [
        ([(1, 31)] * 4, [1, 2, 3, 3]),
        ([(1, 30)] * 2, [1, 2]),
        ([(1, 31), (1, 29), (1, 31)], [1, 0, 1]),  # one had to wait
        ([(1, 31), (2, 31), (1, 31)], [1, 0, 1]),  # two came together
    ],
)
def test_calls_that_come_one_at_a_time_are_counted(
    bursts: list[tuple[int, int]], counts: list[int]
) -> None:
    """One that was there already, or a burst, begins the count anew."""
    counted = itertools.accumulate(
        bursts, lambda before, burst: POLICY.count_single_calls(before, *burst), initial=0
    )
    assert counts == list(counted)[1:]


@pytest.mark.parametrize(
    ("expected_ns", "took_ns", "next_ns"),
    [
        (float("inf"), 100, 2200),  # from ten times the limit down
        (100, 100, 100),
        (100, 180, 110),
        (100, 1_000_000, 187.5),  # one that waited for the interpreter
        (5000, 0, 2187.5),
    ],
)
def test_the_expected_time_follows_the_runs_slowly(
    expected_ns: float, took_ns: int, next_ns: float
) -> None:
    """An eighth of the difference, of which a single slow run is no great one."""
    assert next_ns == POLICY.expect(expected_ns, took_ns)


def test_a_burst_that_takes_long_stalls_the_others() -> None:
    """From then on another thread receives."""
    assert [False, True] == [POLICY.is_stalled(100, now_ns) for now_ns in (120, 121)]
