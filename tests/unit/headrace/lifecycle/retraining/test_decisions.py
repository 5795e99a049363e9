"""When a run is due, what becomes of a trial, and which routes are asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from headrace.client import Route
from headrace.errors import FailedPrecondition
from headrace.lifecycle.retraining.plan import Canary, Trigger
from headrace.lifecycle.retraining.route_moves import (
    moved_back,
    promoted,
    with_trial,
    without_trial,
)
from headrace.lifecycle.retraining.trial import Next, Seen, decide
from headrace.lifecycle.retraining.triggers import Situation, due
from headrace.state.route_records import Canary as Trial

HOUR = 3600.0
MONDAY = 1_767_582_000.0
"""Monday 2026-01-05, 03:00 UTC."""


@dataclass(frozen=True)
class Firing:
    rule: str
    kind: str
    version: int
    summary: str = "it moved"


DRIFT = Firing("shipped-drift", "drift", 1)


def after(seconds: float, unpromoted: int) -> Situation:
    """So long after a run that was not promoted; enough labels are there."""
    ended = MONDAY
    return Situation(ended + seconds, 0, ended - 60, ended, labels=9, unpromoted=unpromoted)


@pytest.mark.parametrize(
    ("trigger", "known", "expected"),
    [
        (Trigger(), Situation(MONDAY, 0), ""),
        (Trigger(schedule="0 3 * * 1"), Situation(MONDAY, MONDAY - HOUR), "schedule"),
        (Trigger(schedule="0 3 * * 1"), Situation(MONDAY - 1, MONDAY - HOUR), ""),
        (Trigger(schedule="0 3 * * 1"), Situation(MONDAY + HOUR, MONDAY + 60), ""),
        (
            Trigger(schedule="0 3 * * 1"),
            Situation(MONDAY, MONDAY - 9, last_began=MONDAY - HOUR),
            "sch",
        ),
        (Trigger(every="1h"), Situation(HOUR, 0), "every 1h"),
        (Trigger(every="1h"), Situation(2 * HOUR, 0, last_began=1.5 * HOUR), ""),
        (
            Trigger(alerts=("drift",)),
            Situation(9, 0, stable=1, alerts=(DRIFT,)),
            "alert shipped-drift",
        ),
        (Trigger(alerts=("shipped-drift",)), Situation(9, 0, stable=1, alerts=(DRIFT,)), "alert"),
        (Trigger(alerts=("quality",)), Situation(9, 0, stable=1, alerts=(DRIFT,)), ""),
        (Trigger(alerts=("drift",)), Situation(9, 0, stable=2, alerts=(DRIFT,)), ""),
        (Trigger(labels=500), Situation(9, 0, labels=500), "500 labels"),
        (Trigger(labels=500), Situation(9, 0, labels=499), ""),
        (Trigger(labels=5, pause="1h"), Situation(HOUR, 0, last_ended=60, labels=9), ""),
        (Trigger(labels=5, pause="1m"), Situation(HOUR, 0, last_ended=60, labels=9), "9 labels"),
        (Trigger(labels=5, pause="1h"), after(HOUR, unpromoted=1), "9 labels"),
        (Trigger(labels=5, pause="1h"), after(HOUR, unpromoted=2), ""),
        (Trigger(labels=5, pause="1h"), after(2 * HOUR, unpromoted=2), "9 labels"),
        (Trigger(labels=5, pause="1h"), after(8 * HOUR - 1, unpromoted=4), ""),
        (Trigger(labels=5, pause="0s", poll="1m"), after(59, unpromoted=1), ""),
        (Trigger(labels=5, pause="1h"), after(31 * 24 * HOUR, unpromoted=5000), "9 labels"),
        (Trigger(every="1h", pause="1h"), after(HOUR, unpromoted=9), "every 1h"),
        (Trigger(labels=5), Situation(HOUR, 0, last_began=9e9, last_ended=9e9, labels=5), "5 lab"),
        (Trigger(every="1h"), Situation(HOUR, 0, last_began=9e9, last_ended=9e9), "every 1h"),
    ],
)
def test_a_run_is_due(trigger: Trigger, known: Situation, expected: str) -> None:
    """By schedule, time, alerts of the stable version, labels; never within the pause."""
    because = due(trigger, known)
    assert because.startswith(expected)
    assert bool(expected) == bool(because)


CANARY = Canary(duration="60s", min_requests=100, wait_for_requests="60s", max_error_rate=0.1)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen(59, 500, 0), Next.WAIT),
        (Seen(60, 500, 0), Next.PROMOTE),
        (Seen(60, 99, 0), Next.WAIT),
        (Seen(121, 99, 0), Next.BACK),
        (Seen(1, 10, 2), Next.BACK),
        (Seen(1, 10, 1), Next.WAIT),
        (Seen(1, 10, 0, (Firing("x", "errors", 2),)), Next.BACK),
        (Seen(70, 500, 0, (Firing("x", "replica_lost", 2),)), Next.PROMOTE),
        (Seen(119, 0, 0, is_known=False), Next.WAIT),
        (Seen(121, 0, 0, is_known=False), Next.BACK),
    ],
)
def test_a_trial_ends(seen: Seen, expected: Next) -> None:
    """With traffic enough it is promoted; errors and alerts take it back; the unknown waits a while."""
    assert expected is decide(CANARY, seen).next


def test_moves_leave_alone_what_is_not_theirs() -> None:
    """A trial beside another is refused; one's own is taken up again, ended, promoted."""
    route = Route("m", 1, etag="7")
    on_trial = with_trial(route, 3, 10)
    assert replace(route, canary=Trial(3, 10)) == on_trial
    assert on_trial == with_trial(on_trial, 3, 10)
    assert route == without_trial(on_trial, 3)
    assert on_trial == without_trial(on_trial, 2)
    assert replace(route, stable=3) == promoted(on_trial, 3)
    with pytest.raises(FailedPrecondition, match="version 3 of m is on trial"):
        with_trial(on_trial, 4, 10)
    beside = replace(on_trial, more_canaries=(Trial(5, 2.0),))
    assert replace(route, canary=Trial(5, 2.0)) == without_trial(beside, 3)
    assert on_trial == without_trial(beside, 5)
    assert route == moved_back(on_trial, 3, 0)
    assert route == replace(moved_back(promoted(on_trial, 3), 3, 1), previous=route.previous)
    assert promoted(route, 4) == moved_back(promoted(route, 4), 3, 1)
