"""Decides when a run is due: pure, from the clock and from what the monitor tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.lifecycle.extras import from_extra
from headrace.lifecycle.retraining.plan import Trigger, seconds
from headrace.lifecycle.retraining.trial import FiringAlert, firing


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


def due(trigger: Trigger, known: Situation) -> str:
    """Why a run is due now; '' where it is not."""
    if known.last_ended and known.now < known.last_ended + seconds(trigger.pause, "trigger.pause"):
        return ""
    since = known.last_began or known.followed_since
    if trigger.schedule and known.now >= _next_time(trigger.schedule, since):
        return f"schedule {trigger.schedule}"
    if trigger.every and known.now >= since + seconds(trigger.every, "trigger.every"):
        return f"every {trigger.every}"
    alert = firing(known.alerts, trigger.alerts, known.stable)
    if alert is not None:
        return f"alert {alert.rule}: {alert.summary}"
    if trigger.labels and known.labels >= trigger.labels:
        return f"{known.labels} labels of answers since the last run"
    return ""


def _next_time(schedule: str, after: float) -> float:
    cronsim = from_extra("cronsim", "trigger.schedule")
    moment: datetime = next(cronsim.CronSim(schedule, datetime.fromtimestamp(after, UTC)))
    return moment.timestamp()
