"""Whom to tell of what: pure decisions over alerts, silences and receivers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from headrace.alert_rules.receivers import Alertmanager, AnyReceiver
from headrace.alert_rules.rules import SEVERITIES
from headrace.alert_rules.rules_file import RuleSet
from headrace_monitor.domain.alerts.alerts import Alert, State
from headrace_monitor.domain.alerts.silences import Silence
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.telemetry.report import NANOSECONDS


@dataclass(frozen=True, slots=True)
class Notification:
    """What a receiver is to be told: alerts of one rule and model, together."""

    id: str
    receiver: str
    rule: str
    model: str
    alerts: tuple[Alert, ...]
    create_ns: int
    create_steady_ns: int
    is_test: bool = False

    @property
    def is_resolved(self) -> bool:
        """True where all of it is over."""
        return all(alert.state is State.RESOLVED for alert in self.alerts)


class Told(NamedTuple):
    """The alerts, with who was told, and what is to be sent."""

    alerts: list[Alert]
    notifications: list[Notification]


def tell(
    alerts: Iterable[Alert], rules: RuleSet, silences: Sequence[Silence], moment: Moment
) -> Told:
    """Decide whom to tell: of what fires since now, what is over, and what still fires and is nobody's."""
    receivers = {receiver.name: receiver for receiver in rules.receivers}
    of_rules = {rule.name: rule.receivers for rule in rules.rules}
    groups: dict[tuple[str, str, str], list[Alert]] = {}
    told: list[Alert] = []
    for alert in alerts:
        silence = _silence_of(alert, silences)
        names = () if silence else _names(alert, of_rules, receivers, moment)
        later = _marked(alert, silence, names, moment)
        told.append(later)
        for name in names:
            groups.setdefault((name, alert.rule, alert.subject.model), []).append(later)
    return Told(told, [_notification(group, found, moment) for group, found in groups.items()])


def _silence_of(alert: Alert, silences: Sequence[Silence]) -> str:
    if alert.state is not State.FIRING:
        return ""
    return next((silence.id for silence in silences if silence.fits(alert)), "")


def _names(
    alert: Alert,
    of_rules: Mapping[str, tuple[str, ...]],
    receivers: Mapping[str, AnyReceiver],
    moment: Moment,
) -> tuple[str, ...]:
    if alert.state is State.RESOLVED:
        return tuple(name for name in alert.told if name in receivers)
    if alert.state is State.PENDING:
        return ()
    wanted = of_rules.get(alert.rule) or tuple(receivers)
    return tuple(
        name for name in wanted if name in receivers and _is_due(alert, receivers[name], moment)
    )


def _is_due(alert: Alert, receiver: AnyReceiver, moment: Moment) -> bool:
    if SEVERITIES.index(alert.severity) < SEVERITIES.index(receiver.least):
        return False
    last = alert.told.get(receiver.name)
    if last is None:
        return True
    forgets = isinstance(receiver, Alertmanager)
    if alert.acknowledged is not None and not forgets:
        return False
    return moment.steady_ns - last >= receiver.repeat_seconds * NANOSECONDS


def _marked(alert: Alert, silence: str, names: tuple[str, ...], moment: Moment) -> Alert:
    if not names and silence == alert.silence:
        return alert
    told = {**alert.told, **dict.fromkeys(names, moment.steady_ns)}
    told_ns = moment.now_ns if names else alert.told_ns
    return replace(alert, silence=silence, told=told, told_ns=told_ns)


def _notification(
    group: tuple[str, str, str], alerts: Sequence[Alert], moment: Moment
) -> Notification:
    receiver, rule, model = group
    # the worst first; the id tells one that was sent twice from another
    ordered = sorted(alerts, key=lambda alert: (alert.state.value, alert.subject))
    name = f"{moment.steady_ns:x}-{ordered[0].id}-{receiver}"
    return Notification(
        name, receiver, rule, model, tuple(ordered), moment.now_ns, moment.steady_ns
    )
