"""An event loop's share of the time beside a thread that receives."""

from __future__ import annotations

import pytest

from headrace_inference.domain.ingress.fair_turns import FairTurns

MICROSECOND = 1_000


@pytest.mark.parametrize(
    ("burst", "pause", "active", "rests"),
    [
        (200, 50, True, True),  # callers who always have the next request ready
        (200, 50, False, False),  # nobody else is there
        (25, 200, True, False),  # one caller, who waits for each answer
        (400, 3_000, True, False),  # bursts as long as their share
    ],
)
def test_who_takes_more_than_its_share_rests(
    burst: int, pause: int, active: bool, rests: bool
) -> None:
    """Bursts of so many microseconds, so far apart; beside others that take bursts too, or not."""
    turns, now, rested = FairTurns(), 10**9, False
    for number in range(100):
        rested = rested or turns.must_rest(now, number if active else 0)
        turns.took(now, now + burst * MICROSECOND)
        now += (burst + pause) * MICROSECOND
    assert rests == rested


def test_a_debt_is_paid_off_in_time() -> None:
    """However long bursts were, a few milliseconds of rest are enough."""
    turns = FairTurns()
    turns.must_rest(0, 0)
    turns.took(0, 10**9)
    assert turns.must_rest(10**9, 1) is False
    turns.took(10**9, 10**9 + MICROSECOND)
    turns.took(10**9, 2 * 10**9)
    assert [True, False] == [
        turns.must_rest(10**9 + 1, 2),
        turns.must_rest(10**9 + 6 * 10**6, 3),
    ]
