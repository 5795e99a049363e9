"""From what was seen to what an alert becomes: pure decisions.

What was there once is pending, what was there for long enough fires, and what was gone for long enough is
resolved. Lengths of time are measured by the steady time, so that a clock that is set moves none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from headrace.alert_rules.rules import AnyRule
from headrace_monitor.domain.alerts.alerts import Alert, Level, Observation, State, id_of
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.telemetry.report import NANOSECONDS


@dataclass(frozen=True, slots=True)
class Look:
    """All that a rule saw in one look.

    What it does not tell of is clear; where not all `is_known`, what is not there may just not be seen.
    """

    rule: AnyRule
    seen: tuple[Observation, ...] = ()
    is_known: bool = True


def after_look(
    alerts: Mapping[str, Alert], look: Look, moment: Moment
) -> tuple[list[Alert], list[Alert]]:
    """Return the alerts of a rule that go on, and those that ended: resolved, or never fired."""
    seen = {id_of(look.rule.name, each.subject): each for each in look.seen}
    going_on: list[Alert] = []
    ended: list[Alert] = []
    known = {key: alert for key, alert in alerts.items() if alert.rule == look.rule.name}
    for key, alert in known.items():
        found = seen.pop(key, None) or _not_seen(alert, is_known=look.is_known)
        later = after(alert, found, look.rule, moment)
        (ended if later is None or later.state is State.RESOLVED else going_on).append(
            alert if later is None else later
        )
    new = (each for each in seen.values() if each.level is Level.OVER)
    going_on += (begun(each, look.rule, moment) for each in new)
    return going_on, ended


def without_rule(alerts: Iterable[Alert], rules: Iterable[AnyRule]) -> list[Alert]:
    """Return the alerts whose rule is not in force any more."""
    names = {rule.name for rule in rules}
    return [alert for alert in alerts if alert.rule not in names]


def begun(seen: Observation, rule: AnyRule, moment: Moment) -> Alert:
    """Return a new alert: pending, or firing at once where the rule waits for nothing."""
    alert = Alert(
        id_of(rule.name, seen.subject),
        rule.name,
        rule.kind,
        seen.severity or rule.severity,
        State.PENDING,
        rule.look_at,
        seen,
        start_ns=moment.now_ns,
        start_steady_ns=moment.steady_ns,
        update_ns=moment.now_ns,
        worst=seen.value,
        about=rule.summary,
    )
    return _fired_if_held(alert, rule, moment)


def after(alert: Alert, seen: Observation, rule: AnyRule, moment: Moment) -> Alert | None:
    """Return what an alert becomes by what is seen of it now; None: it never fired, and is gone."""
    if alert.state is State.PENDING:
        return _after_pending(alert, seen, rule, moment)
    if seen.level is Level.UNKNOWN:
        return replace(alert, seen=_with_gaps(alert.seen, seen), update_ns=moment.now_ns)
    if seen.level is not Level.CLEAR:
        return replace(_updated(alert, seen, rule, moment), clear_steady_ns=0)
    clear = alert.clear_steady_ns or moment.steady_ns
    if moment.steady_ns - clear >= rule.resolve_seconds * NANOSECONDS:
        return resolved(alert, moment)
    return replace(alert, clear_steady_ns=clear, update_ns=moment.now_ns)


def resolved(alert: Alert, moment: Moment) -> Alert:
    """It is over."""
    return replace(
        alert, state=State.RESOLVED, resolve_ns=moment.now_ns, update_ns=moment.now_ns, silence=""
    )


def _after_pending(alert: Alert, seen: Observation, rule: AnyRule, moment: Moment) -> Alert | None:
    if seen.level is Level.UNKNOWN:
        # what is not seen does not hold: it has to be there for so long anew
        later = replace(alert, start_steady_ns=moment.steady_ns, update_ns=moment.now_ns)
        return replace(later, seen=_with_gaps(alert.seen, seen))
    if seen.level is not Level.OVER:
        return None
    return _fired_if_held(_updated(alert, seen, rule, moment), rule, moment)


def _updated(alert: Alert, seen: Observation, rule: AnyRule, moment: Moment) -> Alert:
    worse = min if seen.value < seen.threshold else max
    return replace(
        alert,
        seen=seen if seen.finding else replace(seen, finding=alert.seen.finding),
        severity=seen.severity or rule.severity,
        look_at=rule.look_at,
        about=rule.summary,
        worst=worse(alert.worst, seen.value),
        update_ns=moment.now_ns,
    )


def _fired_if_held(alert: Alert, rule: AnyRule, moment: Moment) -> Alert:
    if moment.steady_ns - alert.start_steady_ns < rule.hold_seconds * NANOSECONDS:
        return alert
    return replace(alert, state=State.FIRING, fire_ns=moment.now_ns)


def _not_seen(alert: Alert, *, is_known: bool) -> Observation:
    level = Level.CLEAR if is_known else Level.UNKNOWN
    return Observation(alert.subject, level)


def _with_gaps(before: Observation, seen: Observation) -> Observation:
    return replace(before, incomplete=seen.incomplete or before.incomplete)
