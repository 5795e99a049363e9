"""Messages of the service of alerts as the client's own nouns."""

from __future__ import annotations

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
from headrace.conversion.times import seconds_from_proto, timestamp_from_proto
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
        started_at=timestamp_from_proto(proto.start_time),
        fired_at=timestamp_from_proto(proto.fire_time),
        resolved_at=timestamp_from_proto(proto.resolve_time),
        updated_at=timestamp_from_proto(proto.update_time),
        slices=tuple(proto.slices),
        fields=tuple(
            AlertField(each.field, each.finding, each.measure, each.value) for each in proto.fields
        ),
        reasons=dict(proto.reasons),
        request_ids=tuple(proto.request_ids),
        incomplete=tuple(proto.incomplete),
        objective=objective_from_proto(proto.objective) if proto.HasField("objective") else None,
        acknowledged_by=proto.acknowledged_by,
        acknowledged_at=timestamp_from_proto(proto.acknowledge_time),
        comment=proto.comment,
        silence=proto.silence,
        notified_at=timestamp_from_proto(proto.notify_time),
        link=proto.link,
    )


def objective_from_proto(proto: pb.ObjectiveStatus) -> ObjectiveStatus:
    """How an objective stands."""
    return ObjectiveStatus(
        rule=proto.rule,
        model=proto.model,
        version=proto.version,
        target=proto.target,
        latency_seconds=seconds_from_proto(proto.latency),
        period_seconds=seconds_from_proto(proto.period),
        requests=proto.requests,
        bad=proto.bad,
        good_share=proto.good_share,
        budget_left=proto.budget_left,
        covered_seconds=seconds_from_proto(proto.covered),
        burn_rates=tuple(
            BurnRate(seconds_from_proto(each.window), each.rate, each.threshold)
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
        timestamp_from_proto(proto.end_time),
        proto.comment,
        proto.creator,
        timestamp_from_proto(proto.create_time),
        proto.alerts,
    )


def _rule(proto: pb.Rule) -> AlertRule:
    return AlertRule(
        name=proto.name,
        kind=proto.kind,
        severity=_SEVERITY_NAMES.get(proto.severity, ""),
        summary=proto.summary,
        look_at=proto.look_at,
        models=tuple(proto.models),
        hold_seconds=seconds_from_proto(proto.hold),
        resolve_after_seconds=seconds_from_proto(proto.resolve_after),
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
        timestamp_from_proto(proto.delivered_time),
    )
