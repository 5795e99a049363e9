"""Decides what to do about a child that is not running: start it, wait, or give up."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
GOOD_RUN_SECONDS = 10.0
"""A child that was ready for as long has recovered: what happened before counts no more."""
_MOST_DOUBLINGS = 16  # far beyond the longest delay; keeps the power small


@dataclass(frozen=True, slots=True)
class History:
    """The runs of one child so far: `bad_runs` counts those in a row that did not last."""

    ever_ready: bool = False
    bad_runs: int = 0
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Start it now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It never came to be ready: a setting is wrong, and starting it again would not mend that."""


Action = Start | Wait | GiveUp


def after_run(history: History, *, ready_at: float | None, ended_at: float) -> History:
    """The history with one more run, which was ready at `ready_at`, or never (None)."""
    good = ready_at is not None and ended_at - ready_at >= GOOD_RUN_SECONDS
    return History(
        ever_ready=history.ever_ready or ready_at is not None,
        bad_runs=0 if good else history.bad_runs + 1,
        ended_at=ended_at,
    )


def next_action(history: History, now: float) -> Action:
    """The action at `now` for a child that is not running."""
    if history.ended_at is None:
        return Start()
    if not history.ever_ready:
        return GiveUp()
    left = history.ended_at + delay_seconds(history.bad_runs) - now
    return Wait(left) if left > 0 else Start()


def delay_seconds(bad_runs: int) -> float:
    """Seconds that a child stays down: at once after a good run, then longer with every bad one."""
    if bad_runs == 0:
        return 0.0
    doublings = min(bad_runs - 1, _MOST_DOUBLINGS)
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0**doublings)
