"""Messages of the service of alerts as the client's own nouns."""

from __future__ import annotations

from google.protobuf import timestamp_pb2

from headrace.client.alert_resources import (
    Alert,
    AlertField,
    AlertReceiver,
    AlertRule,
    AlertRules,
    BurnRate,
    ObjectiveStatus,
    RuleChange,
    Silence,
)
from headrace.monitor.v1 import alert_service_pb2 as pb

SEVERITIES = {
    "info": pb.SEVERITY_INFO,
    "ticket": pb.SEVERITY_TICKET,
    "page": pb.SEVERITY_PAGE,
}
STATES = {
    "pending": pb.ALERT_STATE_PENDING,
    "firing": pb.ALERT_STATE_FIRING,
    "resolved": pb.ALERT_STATE_RESOLVED,
}
_SEVERITY_NAMES = {number: name for name, number in SEVERITIES.items()}
_STATE_NAMES = {number: name for name, number in STATES.items()}


def alert_from_proto(proto: pb.Alert) -> Alert:
    """An alert."""
    return Alert(
        id=proto.id,
        rule=proto.rule,
        kind=proto.kind,
        state=_STATE_NAMES.get(proto.state, ""),
        severity=_SEVERITY_NAMES.get(proto.severity, ""),
        model=proto.model,
        version=proto.version,
        replica=proto.replica,
        summary=proto.summary,
        look_at=proto.look_at,
        value=proto.value,
        threshold=proto.threshold,
        unit=proto.unit,
        worst=proto.worst,
        started_at=_at(proto.start_time),
        fired_at=_at(proto.fire_time),
        resolved_at=_at(proto.resolve_time),
        updated_at=_at(proto.update_time),
        slices=tuple(proto.slices),
        fields=tuple(
            AlertField(each.field, each.finding, each.measure, each.value) for each in proto.fields
        ),
        reasons=dict(proto.reasons),
        request_ids=tuple(proto.request_ids),
        incomplete=tuple(proto.incomplete),
        objective=objective_from_proto(proto.objective) if proto.HasField("objective") else None,
        acknowledged_by=proto.acknowledged_by,
        acknowledged_at=_at(proto.acknowledge_time),
        comment=proto.comment,
        silence=proto.silence,
        notified_at=_at(proto.notify_time),
        link=proto.link,
    )


def objective_from_proto(proto: pb.ObjectiveStatus) -> ObjectiveStatus:
    """How an objective stands."""
    return ObjectiveStatus(
        rule=proto.rule,
        model=proto.model,
        version=proto.version,
        target=proto.target,
        latency_seconds=proto.latency.ToNanoseconds() / 1e9,
        period_seconds=proto.period.ToNanoseconds() / 1e9,
        requests=proto.requests,
        bad=proto.bad,
        good_share=proto.good_share,
        budget_left=proto.budget_left,
        covered_seconds=proto.covered.ToNanoseconds() / 1e9,
        burn_rates=tuple(
            BurnRate(each.window.ToNanoseconds() / 1e9, each.rate, each.threshold)
            for each in proto.burn_rates
        ),
        incomplete=tuple(proto.incomplete),
    )


def rules_from_proto(proto: pb.ListRulesResponse) -> AlertRules:
    """The rules in force."""
    return AlertRules(
        tuple(map(_rule, proto.rules)),
        tuple(map(_receiver, proto.receivers)),
        proto.source,
        proto.etag,
        proto.path,
    )


def change_from_proto(proto: pb.ApplyRulesResponse) -> RuleChange:
    """What a file of rules changes."""
    return RuleChange(
        tuple(proto.added),
        tuple(proto.changed),
        tuple(proto.removed),
        tuple(proto.unchanged),
        proto.diff,
        proto.etag,
    )


def silence_from_proto(proto: pb.Silence) -> Silence:
    """A silence."""
    return Silence(
        proto.id,
        proto.model,
        proto.rule,
        proto.version,
        proto.replica,
        _at(proto.end_time),
        proto.comment,
        proto.creator,
        _at(proto.create_time),
        proto.alerts,
    )


def timestamp_of(seconds: float) -> timestamp_pb2.Timestamp:
    """Seconds since the epoch as a message."""
    found = timestamp_pb2.Timestamp()
    found.FromNanoseconds(round(seconds * 1e9))
    return found


def _rule(proto: pb.Rule) -> AlertRule:
    return AlertRule(
        name=proto.name,
        kind=proto.kind,
        severity=_SEVERITY_NAMES.get(proto.severity, ""),
        summary=proto.summary,
        look_at=proto.look_at,
        models=tuple(proto.models),
        hold_seconds=proto.hold.ToNanoseconds() / 1e9,
        resolve_after_seconds=proto.resolve_after.ToNanoseconds() / 1e9,
        receivers=tuple(proto.receivers),
        shipped=proto.shipped,
        disabled=proto.disabled,
        toml=proto.toml,
    )


def _receiver(proto: pb.Receiver) -> AlertReceiver:
    return AlertReceiver(
        proto.name,
        proto.kind,
        proto.address,
        proto.delivered,
        proto.failed,
        proto.dropped,
        proto.waiting,
        proto.problem,
        _at(proto.delivered_time),
    )


def _at(time: timestamp_pb2.Timestamp) -> float:
    return time.ToNanoseconds() / 1e9
