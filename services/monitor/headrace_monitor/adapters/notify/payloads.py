"""Notifications as receivers read them: JSON for webhooks, Alertmanager's own, text for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headrace_monitor.domain.alerts.alerts import Alert, ObjectiveStatus, State
from headrace_monitor.domain.alerts.notifications import Notification
from headrace_monitor.domain.telemetry.report import NANOSECONDS

FORMAT = "1"
"""Another one where something means something else; more keys may come at any time."""

FORGOTTEN_NS = 300 * NANOSECONDS
"""An Alertmanager takes what fires as over when it was not told of it for so long."""

_MAX_TEXT_ALERTS = 20


def webhook_json(notification: Notification, now_ns: int, console_url: str) -> dict[str, Any]:
    """Return what a webhook is sent."""
    return {
        "format": FORMAT,
        "notification": notification.id,
        "status": "resolved" if notification.is_resolved else "firing",
        "test": notification.is_test,
        "rule": notification.rule,
        "model": notification.model,
        "sent_at": time_text(now_ns),
        "alerts": [alert_json(alert, console_url) for alert in notification.alerts],
    }


def alert_json(alert: Alert, console_url: str = "") -> dict[str, Any]:
    """Return an alert as JSON: since when, how bad, which fields, which slices, what to look at."""
    subject, seen = alert.subject, alert.seen
    acknowledged = alert.acknowledged
    return {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "state": alert.state.value,
        "severity": alert.severity,
        "model": subject.model,
        "version": subject.version,
        "replica": subject.replica,
        "slices": list(seen.slices),
        "fields": [
            {
                "field": each.field,
                "finding": each.finding,
                "measure": each.measure,
                "value": each.value,
            }
            for each in seen.fields
        ],
        "summary": alert.summary,
        "about": alert.about,
        "look_at": alert.look_at,
        "value": seen.value,
        "threshold": seen.threshold,
        "unit": seen.unit,
        "worst": alert.worst,
        "since": time_text(alert.start_ns),
        "firing_since": time_text(alert.fire_ns),
        "resolved_at": time_text(alert.resolve_ns),
        "reasons": dict(seen.reasons),
        "request_ids": list(seen.request_ids),
        "incomplete": list(seen.incomplete),
        "objective": _objective_json(seen.objective) if seen.objective else None,
        "acknowledged_by": acknowledged.by if acknowledged else "",
        "comment": acknowledged.comment if acknowledged else "",
        "link": console_url.rstrip("/") + alert.link,
    }


def _objective_json(objective: ObjectiveStatus) -> dict[str, Any]:
    return {
        "target": objective.target,
        "latency_seconds": objective.latency_seconds,
        "requests": objective.requests,
        "bad": objective.bad,
        "burn_rates": [
            {
                "window_seconds": burn.window_seconds,
                "rate": burn.rate,
                "threshold": burn.threshold,
            }
            for burn in objective.burns
        ],
    }


def alertmanager_json(
    notification: Notification, now_ns: int, console_url: str
) -> list[dict[str, Any]]:
    """Return what an Alertmanager is sent: its API v2."""
    return [_alertmanager_alert(alert, now_ns, console_url) for alert in notification.alerts]


def _alertmanager_alert(alert: Alert, now_ns: int, console_url: str) -> dict[str, Any]:
    subject = alert.subject
    labels = {
        "alertname": alert.rule,
        "severity": alert.severity,
        "source": "headrace",
        "model": subject.model,
        "version": str(subject.version) if subject.version else "",
        "replica": subject.replica,
        "part": subject.part,
    }
    is_over = alert.state is State.RESOLVED
    found: dict[str, Any] = {
        "labels": _filled(labels),
        "annotations": _filled(
            {
                "summary": alert.summary,
                "description": alert.look_at,
                "slices": ", ".join(alert.seen.slices),
                "fields": ", ".join(each.field for each in alert.seen.fields),
                "incomplete": ", ".join(alert.seen.incomplete),
                "alert_id": alert.id,
            }
        ),
        "startsAt": time_text(alert.fire_ns or alert.start_ns),
        "endsAt": time_text(alert.resolve_ns if is_over else now_ns + FORGOTTEN_NS),
    }
    if console_url:
        found["generatorURL"] = console_url.rstrip("/") + alert.link
    return found


def title(notification: Notification) -> str:
    """Return a notification in a few words."""
    status = "resolved" if notification.is_resolved else "firing"
    about = f" on {notification.model}" if notification.model else ""
    test = "test: " if notification.is_test else ""
    return f"{test}{status}: {notification.rule}{about}"


def text(notification: Notification, console_url: str) -> str:
    """Return a notification for people, some lines for each alert."""
    told = [_text(alert, console_url) for alert in notification.alerts[:_MAX_TEXT_ALERTS]]
    more = len(notification.alerts) - _MAX_TEXT_ALERTS
    return "\n\n".join([*told, f"and {more} more alerts"] if more > 0 else told)


def _text(alert: Alert, console_url: str) -> str:
    seen = alert.seen
    lines = [
        f"{alert.severity} {alert.state.value} since {time_text(alert.start_ns)}: {alert.summary}",
        *(f"  field {each.field}: {each.finding}" for each in seen.fields[:5]),
        f"  slices: {', '.join(seen.slices)}" if seen.slices else "",
        f"  not complete: {', '.join(seen.incomplete)}" if seen.incomplete else "",
        f"  {alert.look_at}",
        f"  {console_url.rstrip('/')}{alert.link}" if console_url else "",
    ]
    return "\n".join(line for line in lines if line.strip())


def time_text(time_ns: int) -> str:
    """Return a time as RFC 3339 has it, '' for none."""
    if not time_ns:
        return ""
    moment = datetime.fromtimestamp(time_ns / NANOSECONDS, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _filled(texts: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in texts.items() if value}
