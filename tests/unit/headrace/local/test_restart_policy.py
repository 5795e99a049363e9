"""When a child that is not running is started again, by rows."""

from __future__ import annotations

import pytest

from headrace.local.restart_policy import (
    Action,
    GiveUp,
    History,
    Start,
    Wait,
    after_run,
    delay_seconds,
    next_action,
)

BAD = History(ever_ready=True, bad_runs=1, ended_at=100.0)
WORSE = History(ever_ready=True, bad_runs=4, ended_at=100.0)
GOOD = History(ever_ready=True, bad_runs=0, ended_at=100.0)
NEVER_READY = History(ever_ready=False, bad_runs=1, ended_at=100.0)


@pytest.mark.parametrize(
    ("history", "now", "action"),
    [
        (History(), 0.0, Start()),
        (NEVER_READY, 100.0, GiveUp()),
        (NEVER_READY, 900.0, GiveUp()),
        (GOOD, 100.0, Start()),
        (BAD, 100.0, Wait(0.1)),
        (BAD, 101.0, Start()),
        (WORSE, 100.5, Wait(0.3)),
        (WORSE, 100.9, Start()),
    ],
)
def test_next_action(history: History, now: float, action: Action) -> None:
    """A first failure is final, a bad run waits for its delay, and a good one is followed at once."""
    actual = next_action(history, now)
    if isinstance(action, Wait):
        assert isinstance(actual, Wait)
        assert action.seconds == pytest.approx(actual.seconds)
    else:
        assert action == actual


@pytest.mark.parametrize(
    ("history", "ready_at", "ended_at", "expected"),
    [
        (History(), None, 5.0, History(False, 1, 5.0)),
        (History(), 1.0, 5.0, History(True, 1, 5.0)),
        (WORSE, None, 105.0, History(True, 5, 105.0)),
        (WORSE, 101.0, 110.9, History(True, 5, 110.9)),
        (WORSE, 101.0, 111.0, History(True, 0, 111.0)),
    ],
)
def test_history_after_a_run(
    history: History, ready_at: float | None, ended_at: float, expected: History
) -> None:
    """Ten ready seconds clear the record, less adds to it, and having been ready is never forgotten."""
    assert expected == after_run(history, ready_at=ready_at, ended_at=ended_at)


def test_delays_double_up_to_five_seconds() -> None:
    """The delay starts at 0.1 s, doubles with every bad run, and stays at 5 s however many follow."""
    assert [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0] == [delay_seconds(runs) for runs in range(8)]
    assert 5.0 == delay_seconds(10_000)
