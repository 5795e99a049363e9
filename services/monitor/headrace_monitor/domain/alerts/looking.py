"""Looks at everything by all rules: what is needed for it, and what each rule sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.alert_rules.rules import (
    AnyRule,
    DataQuality,
    Drift,
    Errors,
    Latency,
    MissingTelemetry,
    Objective,
    Quality,
    ReplicaLost,
    Slower,
    VersionNotReady,
)
from headrace_monitor.domain.alerts import data_checks, pace_checks, presence_checks, service_checks
from headrace_monitor.domain.alerts.figures import (
    ReplicaGap,
    ServiceWindow,
    SlowerVersion,
    UnreadyVersion,
    WatchedFigure,
)
from headrace_monitor.domain.alerts.states import Look
from headrace_monitor.domain.drift.findings import Finding


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known at one moment; None is what cannot be told."""

    windows: Mapping[float, ServiceWindow]
    gaps: Sequence[ReplicaGap] = ()
    findings: Sequence[Finding] | None = None
    quality: Sequence[WatchedFigure] | None = None
    unready: Sequence[UnreadyVersion] | None = None
    slower: Sequence[SlowerVersion] | None = None


def look(rule: AnyRule, facts: Facts) -> Look:
    """Return what a rule sees."""
    match rule:
        case Objective() | Errors() | Latency():
            return service_checks.look_at_requests(rule, facts.windows)
        case Slower():
            return pace_checks.look_at_paces(rule, facts.slower)
        case Drift():
            return data_checks.look_at_drift(rule, facts.findings)
        case DataQuality():
            return data_checks.look_at_faults(rule, facts.findings)
        case Quality():
            return data_checks.look_at_quality(rule, facts.quality)
        case MissingTelemetry():
            return presence_checks.look_at_telemetry(rule, facts.gaps)
        case ReplicaLost():
            return presence_checks.look_at_replicas(rule, facts.gaps)
        case VersionNotReady():
            return presence_checks.look_at_versions(rule, facts.unready)
