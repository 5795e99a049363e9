"""Counts what needs attention of a model, or of all that are seen: alerts, and fields that drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.alerts.alerts import State
from headrace_monitor.domain.drift.findings import Finding

IsSeen = Callable[[str], bool]
OpenFindings = Callable[[], Sequence[Finding]]


class AttentionCounts:
    """Counts over models; may be asked in any thread."""

    def __init__(self, alerts: AlertBook, findings: OpenFindings) -> None:
        self._alerts = alerts
        self._findings = findings

    def __call__(self, counts: IsSeen) -> Mapping[str, object]:
        """What there is of the models that count."""
        states = [each.state for each in self._alerts.alerts.values() if counts(each.subject.model)]
        fields = {
            (each.key.model, each.key.version, each.field)
            for each in self._findings()
            if each.is_open and counts(each.key.model)
        }
        return {
            "alerts": {
                "firing": states.count(State.FIRING),
                "pending": states.count(State.PENDING),
            },
            "drift": {"fields": len(fields)},
        }
