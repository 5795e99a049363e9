"""Exports alerts to Prometheus: how many by state and severity, and how it goes with telling of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headrace.alert_rules.rules import SEVERITIES
from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.alerts.alerts import Alert, State
from headrace_monitor.domain.alerts.evaluator import Evaluator
from headrace_monitor.domain.telemetry.report import NANOSECONDS

OUTCOMES = ("delivered", "failed", "dropped")
STATES = ("pending", "firing", "silenced", "acknowledged")


class AlertGauges(Collector):
    """Reads the book at every scrape, in any thread."""

    def __init__(self, book: AlertBook, evaluator: Evaluator) -> None:
        self._book = book
        self._evaluator = evaluator

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: receivers come and go."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now; their number does not grow with that of alerts."""
        yield self._alerts()
        yield CounterMetricFamily(
            "headrace_alerts_left_out",
            "Alerts for which there was no room.",
            value=self._book.counts.get("", {}).get("left_out", 0),
        )
        yield GaugeMetricFamily(
            "headrace_alerts_evaluated_seconds",
            "When the rules were evaluated last, since the epoch.",
            value=self._evaluator.evaluated_ns / NANOSECONDS,
        )
        yield GaugeMetricFamily(
            "headrace_alerts_evaluation_duration_seconds",
            "How long the last evaluation took.",
            value=self._evaluator.seconds,
        )
        yield self._notifications()

    def _alerts(self) -> Metric:
        found = Counter((_state_of(each), each.severity) for each in self._book.alerts.values())
        family = GaugeMetricFamily(
            "headrace_alerts",
            "Alerts by what they have come to; those that are silenced or acknowledged still fire.",
            labels=["state", "severity"],
        )
        for state in STATES:
            for severity in SEVERITIES:
                family.add_metric([state, severity], found[state, severity])
        return family

    def _notifications(self) -> Metric:
        family = CounterMetricFamily(
            "headrace_alert_notifications",
            "Notifications by what became of them; failed ones are sent again.",
            labels=["receiver", "outcome"],
        )
        for receiver in self._book.in_force.rules.receivers:
            counts = self._book.counts.get(receiver.name, {})
            for outcome in OUTCOMES:
                family.add_metric([receiver.name, outcome], counts.get(outcome, 0))
        return family


def _state_of(alert: Alert) -> str:
    if alert.state is not State.FIRING:
        return alert.state.value
    return "silenced" if alert.silence else "acknowledged" if alert.acknowledged else "firing"
