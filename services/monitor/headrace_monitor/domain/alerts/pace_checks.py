"""Rules about versions that take longer than they did. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.alert_rules.rules import Slower
from headrace_monitor.domain.alerts.alerts import Level, Observation, Subject
from headrace_monitor.domain.alerts.figures import SlowerVersion
from headrace_monitor.domain.alerts.states import Look


def look_at_paces(rule: Slower, found: Sequence[SlowerVersion] | None) -> Look:
    """Return which versions take longer, by enough; nothing is known while minutes are gone through."""
    if found is None:
        return Look(rule, is_known=False)
    return Look(
        rule,
        tuple(_slower(rule, each) for each in found if rule.is_about(each.model, each.version)),
    )


def _slower(rule: Slower, each: SlowerVersion) -> Observation:
    by = each.slowdown.ratio - 1
    return Observation(
        Subject(each.model, each.version),
        Level.OVER if by >= rule.above else Level.NEAR,
        value=by,
        threshold=rule.above,
        unit="share",
        finding=_said(each),
    )


def _said(each: SlowerVersion) -> str:
    slowdown = each.slowdown
    runs = "the median run" if each.quantile == 0.5 else f"{each.quantile:.0%} of the runs"
    takes = "takes" if each.quantile == 0.5 else "take up to"
    since = str(np.datetime64(slowdown.since_minute, "m")).replace("T", " ")
    return (
        f"{runs} {takes} {slowdown.ratio:.2f} times as long as before ({slowdown.low:.2f} to "
        f"{slowdown.high:.2f}) since {since} UTC: {_time(slowdown.before)} → "
        f"{_time(slowdown.now)} at {slowdown.load.requests:.0f} requests a minute and replica and "
        f"{slowdown.load.mean_rows:.1f} rows a run"
    )


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
