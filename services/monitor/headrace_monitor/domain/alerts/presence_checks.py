"""Rules about what should be there: reports, replicas, versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace.alert_rules.durations import seconds_of
from headrace.alert_rules.rules import MissingTelemetry, ReplicaLost, VersionNotReady, fits
from headrace_monitor.domain.alerts.alerts import Level, Observation, Subject
from headrace_monitor.domain.alerts.figures import ReplicaGap, UnreadyVersion
from headrace_monitor.domain.alerts.states import Look

LOST, SILENT, MISSING = "lost", "silent", "missing"


def look_at_telemetry(rule: MissingTelemetry, gaps: Sequence[ReplicaGap]) -> Look:
    """Return which replicas are silent now, or dropped reports in the window."""
    seconds = seconds_of(rule.window)
    wanted = [
        gap
        for gap in gaps
        if gap.reason == SILENT or (gap.reason == MISSING and gap.age_seconds <= seconds)
    ]
    return Look(rule, tuple(_by_replica(wanted)))


def look_at_replicas(rule: ReplicaLost, gaps: Sequence[ReplicaGap]) -> Look:
    """Return which replicas were lost in the window."""
    seconds = seconds_of(rule.window)
    lost = [
        gap
        for gap in gaps
        if gap.reason == LOST and gap.age_seconds <= seconds and fits(rule.replicas, gap.replica)
    ]
    return Look(rule, tuple(_by_replica(lost)))


def look_at_versions(rule: VersionNotReady, unready: Sequence[UnreadyVersion] | None) -> Look:
    """Return which versions should serve and are not ready; nothing is known without the catalog."""
    if unready is None:
        return Look(rule, is_known=False)
    return Look(
        rule,
        tuple(_unready(each) for each in unready if rule.is_about(each.model, each.version)),
    )


def _by_replica(gaps: Sequence[ReplicaGap]) -> Iterator[Observation]:
    for replica in sorted({gap.replica for gap in gaps}):
        of_it = [gap for gap in gaps if gap.replica == replica]
        newest = min(of_it, key=lambda gap: gap.age_seconds)
        reports = sum(gap.reports for gap in of_it)
        yield Observation(
            Subject(replica=replica),
            Level.OVER,
            value=float(reports or len(of_it)),
            threshold=0.0,
            unit="reports" if reports else "times",
            finding=f"replica {replica} {_said(newest, reports)}",
            incomplete=(f"counts of {replica} are not complete",),
        )


def _said(gap: ReplicaGap, reports: int) -> str:
    ago = f"{gap.age_seconds:.0f} s ago"
    return {
        SILENT: f"has not reported since {ago}",
        MISSING: f"dropped {reports} reports, the newest {ago}",
        LOST: f"ended without a last report, {ago}",
    }[gap.reason]


def _unready(each: UnreadyVersion) -> Observation:
    where = f" on {', '.join(each.replicas[:5])}" if each.replicas else ""
    return Observation(
        Subject(each.model, each.version),
        Level.OVER,
        value=float(len(each.replicas) or 1),
        threshold=0.0,
        unit="replicas",
        finding=f"version {each.version} is {each.state}{where}"
        + (f": {each.message}" if each.message else ""),
    )
