"""Decides when a run is due: pure, from the clock and from what the monitor tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.lifecycle.extras import from_extra
from headrace.lifecycle.retraining.plan import Trigger, seconds
from headrace.lifecycle.retraining.trial import FiringAlert, firing

_LONGEST_PAUSE_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when it is asked whether a run is due; times in seconds since the Unix epoch."""

    now: float
    followed_since: float
    """When following began: schedules of before then are not made up for without an earlier run."""
    last_began: float = 0.0
    last_ended: float = 0.0
    stable: int = 0
    alerts: tuple[FiringAlert, ...] = ()
    labels: int = 0
    """Of answers that came since the last run began."""
    unpromoted: int = 0
    """So many of the last runs, one after the other, were not promoted."""


def due(trigger: Trigger, known: Situation) -> str:
    """Why a run is due now; '' where it is not.

    What was at a time that is still to come was noted by a clock that went wrong, and counts as unknown.
    """
    pause = seconds(trigger.pause, "trigger.pause")
    ended = known.last_ended if known.last_ended <= known.now else 0.0
    if ended and known.now < ended + pause:
        return ""
    since = known.last_began if 0 < known.last_began <= known.now else known.followed_since
    if trigger.schedule and known.now >= next_time(trigger.schedule, since):
        return f"schedule {trigger.schedule}"
    if trigger.every and known.now >= since + seconds(trigger.every, "trigger.every"):
        return f"every {trigger.every}"
    if ended and known.now < ended + _longer(trigger, known.unpromoted):
        return ""
    alert = firing(known.alerts, trigger.alerts, known.stable)
    if alert is not None:
        return f"alert {alert.rule}: {alert.summary}"
    if trigger.labels and known.labels >= trigger.labels:
        return f"{known.labels} labels of answers since the last run"
    return ""


def _longer(trigger: Trigger, unpromoted: int) -> float:
    """The pause after runs that were not promoted: an alert that keeps firing tries less and less often."""
    if not unpromoted:
        return 0.0
    least = max(seconds(trigger.pause, "trigger.pause"), seconds(trigger.poll, "trigger.poll"), 1.0)
    return float(min(least * 2.0 ** min(unpromoted - 1, 30), _LONGEST_PAUSE_SECONDS))


def next_time(schedule: str, after: float) -> float:
    """The first time of a schedule after another, in seconds since the Unix epoch."""
    cronsim = from_extra("cronsim", "trigger.schedule")
    moment: datetime = next(cronsim.CronSim(schedule, datetime.fromtimestamp(after, UTC)))
    return moment.timestamp()
