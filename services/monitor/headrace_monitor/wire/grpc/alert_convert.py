"""Alerts, rules and silences, between messages and the domain's nouns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf import timestamp_pb2

from headrace import errors
from headrace.alert_rules.receivers import AnyReceiver
from headrace.alert_rules.rules import AnyRule
from headrace.alert_rules.rules_text import rule_toml
from headrace.alert_rules.shipped import SHIPPED
from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace_monitor.domain.alerts.alert_desk import AlertQuery, ReceiverHealth, RuleChange
from headrace_monitor.domain.alerts.alerts import Alert, ObjectiveStatus, State
from headrace_monitor.domain.alerts.silences import Silence
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.grpc.times import duration, nanoseconds, timestamp

_SEVERITIES = {
    "info": pb.SEVERITY_INFO,
    "ticket": pb.SEVERITY_TICKET,
    "page": pb.SEVERITY_PAGE,
}
_STATES = {
    State.PENDING: pb.ALERT_STATE_PENDING,
    State.FIRING: pb.ALERT_STATE_FIRING,
    State.RESOLVED: pb.ALERT_STATE_RESOLVED,
}
_SHIPPED = {rule.name for rule in SHIPPED}


def query_from_proto(proto: pb.ListAlertsRequest) -> AlertQuery:
    """A question. Raises InvalidArgument (INVALID_QUERY) for a state or severity that is none."""
    states: dict[int, State | None] = {number: state for state, number in _STATES.items()}
    severities = {number: name for name, number in _SEVERITIES.items()}
    states[pb.ALERT_STATE_UNSPECIFIED], severities[pb.SEVERITY_UNSPECIFIED] = None, "info"
    if proto.state not in states or proto.severity not in severities:
        raise errors.InvalidArgument("INVALID_QUERY", "the state or severity is none that there is")
    return AlertQuery(
        proto.model,
        proto.rule,
        states[proto.state],
        severities[proto.severity],
        proto.page_size,
        proto.page_token,
    )


def alert_to_proto(alert: Alert) -> pb.Alert:
    """An alert as a message."""
    subject, seen, acknowledged = alert.subject, alert.seen, alert.acknowledged
    message = pb.Alert(
        id=alert.id,
        rule=alert.rule,
        kind=alert.kind,
        state=_STATES[alert.state],
        severity=_SEVERITIES[alert.severity],
        model=subject.model,
        version=subject.version,
        replica=subject.replica,
        slices=seen.slices,
        fields=[
            pb.AlertField(
                field=each.field, finding=each.finding, measure=each.measure, value=each.value
            )
            for each in seen.fields
        ],
        summary=alert.summary,
        look_at=alert.look_at,
        value=seen.value,
        threshold=seen.threshold,
        unit=seen.unit,
        worst=alert.worst,
        start_time=_time(alert.start_ns),
        fire_time=_time(alert.fire_ns),
        resolve_time=_time(alert.resolve_ns),
        update_time=_time(alert.update_ns),
        objective=objective_to_proto(seen.objective) if seen.objective else None,
        incomplete=seen.incomplete,
        silence=alert.silence,
        notify_time=_time(alert.told_ns),
        link=alert.link,
        request_ids=seen.request_ids,
        reasons=seen.reasons,
    )
    if acknowledged is not None:
        message.acknowledged_by, message.comment = acknowledged.by, acknowledged.comment
        message.acknowledge_time.CopyFrom(timestamp(acknowledged.at_ns))
    return message


def objective_to_proto(status: ObjectiveStatus) -> pb.ObjectiveStatus:
    """How an objective stands, as a message."""
    latency = duration(status.latency_seconds * NANOSECONDS) if status.latency_seconds else None
    return pb.ObjectiveStatus(
        rule=status.rule,
        model=status.model,
        version=status.version,
        target=status.target,
        latency=latency,
        period=duration(status.period_seconds * NANOSECONDS),
        requests=status.requests,
        bad=status.bad,
        good_share=status.good_share,
        budget_left=status.budget_left,
        covered=duration(status.covered_seconds * NANOSECONDS),
        burn_rates=[
            pb.BurnRate(
                window=duration(burn.window_seconds * NANOSECONDS),
                rate=burn.rate,
                threshold=burn.threshold,
            )
            for burn in status.burns
        ],
        incomplete=status.incomplete,
    )


def rules_to_proto(rules: Iterable[AnyRule], receivers: Iterable[str]) -> list[pb.Rule]:
    """Rules as messages, by name."""
    everybody = sorted(receivers)
    return [
        pb.Rule(
            name=rule.name,
            kind=rule.kind,
            severity=_SEVERITIES[rule.severity],
            summary=rule.summary,
            look_at=rule.look_at,
            models=rule.models,
            hold=duration(rule.hold_seconds * NANOSECONDS),
            resolve_after=duration(rule.resolve_seconds * NANOSECONDS),
            receivers=rule.receivers or everybody,
            shipped=rule.name in _SHIPPED,
            disabled=not rule.enabled,
            toml=rule_toml(rule),
        )
        for rule in sorted(rules, key=lambda rule: rule.name)
    ]


def receiver_to_proto(
    receiver: AnyReceiver,
    health: ReceiverHealth | None,
    counts: Mapping[str, int],
    waiting: int,
) -> pb.Receiver:
    """A receiver as a message."""
    message = pb.Receiver(
        name=receiver.name,
        kind=receiver.kind,
        address=receiver.address,
        delivered=counts.get("delivered", 0),
        failed=counts.get("failed", 0),
        dropped=counts.get("dropped", 0),
        waiting=waiting,
    )
    if health is not None:
        message.problem = health.problem
        if health.delivered_ns:
            message.delivered_time.CopyFrom(timestamp(health.delivered_ns))
    return message


def change_to_proto(change: RuleChange) -> pb.ApplyRulesResponse:
    """What a file of rules changes, as a message."""
    return pb.ApplyRulesResponse(
        added=change.added,
        changed=change.changed,
        removed=change.removed,
        unchanged=change.unchanged,
        diff=change.diff,
        etag=change.etag,
    )


def silence_from_proto(proto: pb.Silence, creator: str) -> Silence:
    """A silence as somebody asks for it."""
    return Silence(
        "",
        nanoseconds(proto.end_time),
        proto.comment,
        creator,
        0,
        proto.model,
        proto.rule,
        proto.version,
        proto.replica,
    )


def silence_to_proto(silence: Silence, alerts: int) -> pb.Silence:
    """A silence as a message."""
    return pb.Silence(
        id=silence.id,
        model=silence.model,
        rule=silence.rule,
        version=silence.version,
        replica=silence.replica,
        end_time=timestamp(silence.end_ns),
        comment=silence.comment,
        creator=silence.creator,
        create_time=timestamp(silence.create_ns),
        alerts=alerts,
    )


def _time(time_ns: int) -> timestamp_pb2.Timestamp | None:
    return timestamp(time_ns) if time_ns else None
