"""What an alert becomes by what is seen, by rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.alert_rules.rules import Errors
from headrace_monitor.domain.alerts.alerts import Alert, Level, Observation, State, Subject
from headrace_monitor.domain.alerts.states import Look, after_look
from headrace_monitor.domain.clock import Moment

SECOND = 1_000_000_000
RULE = Errors(name="r", hold="30s", resolve_after="60s")
SUBJECT = Subject("m", 1)
OVER, NEAR, UNKNOWN, CLEAR = Level.OVER, Level.NEAR, Level.UNKNOWN, Level.CLEAR
NO, PENDING, FIRING = "", "pending", "firing"

Step = tuple[int, Level | None, str]
"""Seconds that pass, what is seen then, and what there is after it."""

ROWS: dict[str, list[Step]] = {
    "held": [(0, OVER, PENDING), (20, OVER, PENDING), (10, OVER, FIRING)],
    "gone before": [(0, OVER, PENDING), (20, CLEAR, NO), (20, OVER, PENDING)],
    "near before": [(0, OVER, PENDING), (20, NEAR, NO)],
    "near is no beginning": [(0, NEAR, NO), (60, NEAR, NO)],
    "unknown is no beginning": [(0, UNKNOWN, NO)],
    "unknown does not hold": [
        (0, OVER, PENDING),
        (29, UNKNOWN, PENDING),
        (29, OVER, PENDING),
        (1, OVER, FIRING),
    ],
    "resolved after a while": [
        (0, OVER, PENDING),
        (30, OVER, FIRING),
        (10, CLEAR, FIRING),
        (59, None, FIRING),
        (1, None, NO),
    ],
    "does not flap": [
        (0, OVER, PENDING),
        (30, OVER, FIRING),
        (50, CLEAR, FIRING),
        (50, NEAR, FIRING),
        (59, CLEAR, FIRING),
        (50, OVER, FIRING),
        (50, CLEAR, FIRING),
        (60, CLEAR, NO),
    ],
    "unknown does not resolve": [
        (0, OVER, PENDING),
        (30, OVER, FIRING),
        (600, UNKNOWN, FIRING),
        (600, CLEAR, FIRING),
        (60, CLEAR, NO),
    ],
}


@pytest.mark.parametrize("clock_steps", [False, True], ids=["a true clock", "a clock that steps"])
@pytest.mark.parametrize("name", ROWS)
def test_states(name: str, clock_steps: bool) -> None:
    """Time is that which passes, whatever the clock says."""
    alerts: dict[str, Alert] = {}
    steady = 0
    for number, (seconds, level, expected) in enumerate(ROWS[name]):
        steady += seconds * SECOND
        now = steady + (86_400 * SECOND * (-1) ** number if clock_steps else 0)
        seen = () if level is None else (Observation(SUBJECT, level, 2.0, 1.0, finding="f"),)
        going_on, _ = after_look(alerts, Look(RULE, seen), Moment(now + 10**18, steady))
        alerts = {alert.id: alert for alert in going_on}
        assert expected == "".join(alert.state.value for alert in going_on), number


def test_what_may_not_be_seen_is_not_resolved() -> None:
    """Where figures are missing, an alert that is not seen stays what it is."""
    moment = Moment(10**18, 10**18)
    seen = (Observation(SUBJECT, OVER, 2.0, 1.0),)
    rule = replace_hold("0s")
    (alert,), _ = after_look({}, Look(rule, seen), moment)
    later = Moment(moment.now_ns + 3600 * SECOND, moment.steady_ns + 3600 * SECOND)
    (unknown,), ended = after_look({alert.id: alert}, Look(rule, (), is_known=False), later)
    assert (State.FIRING, 0, []) == (unknown.state, unknown.clear_steady_ns, ended)


def test_the_worst_value_is_kept() -> None:
    """Of what must not be above, the highest; of what must not be below, the lowest."""
    moment = Moment(10**18, 10**18)
    rule = replace_hold("0s")
    for values, threshold, worst in (((2.0, 5.0, 3.0), 1.0, 5.0), ((0.8, 0.5, 0.7), 0.9, 0.5)):
        alerts: dict[str, Alert] = {}
        for value in values:
            seen = (Observation(SUBJECT, OVER, value, threshold),)
            (alert,), _ = after_look(alerts, Look(rule, seen), moment)
            alerts = {alert.id: alert}
        assert worst == alert.worst


def test_a_link_leads_to_the_field_and_the_slice() -> None:
    """Of a model whose name needs it, encoded."""
    moment = Moment(10**18, 10**18)
    (alert,), _ = after_look({}, Look(RULE, (Observation(Subject("a/b", 3), OVER),)), moment)
    in_slice = replace(alert, seen=replace(alert.seen, slices=("header x-region=eu",)))
    expected = f"/#/models/a%2Fb?alert={alert.id}&version=3&slice=header+x-region%3Deu"
    assert expected == in_slice.link


def replace_hold(hold: str) -> Errors:
    """The rule with another time."""
    return Errors(name="r", hold=hold, resolve_after="60s")
