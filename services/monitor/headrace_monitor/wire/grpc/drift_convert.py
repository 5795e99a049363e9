"""Converts questions about drift from messages, and answers to messages."""

from __future__ import annotations

from collections.abc import Mapping

from headrace import errors
from headrace.errors import FieldViolation
from headrace.monitor.v1 import drift_service_pb2 as pb
from headrace_monitor.domain.drift.findings import (
    Concern,
    Effects,
    Finding,
    ReferenceSource,
    SliceCause,
)
from headrace_monitor.domain.drift.kept_examples import Shown
from headrace_monitor.domain.drift.questions import (
    STRETCHES,
    DriftQuery,
    FieldDrift,
    SubjectDrift,
)
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.grpc.times import nanoseconds, timestamp

_SOURCES: Mapping[ReferenceSource, pb.VersionDrift.Source] = {
    ReferenceSource.REGISTERED: pb.VersionDrift.SOURCE_REGISTERED,
    ReferenceSource.FIRST_ROWS: pb.VersionDrift.SOURCE_FIRST_ROWS,
    ReferenceSource.OTHER_VERSION: pb.VersionDrift.SOURCE_OTHER_VERSION,
}
_CONCERNS: Mapping[Concern, pb.DriftFinding.Concern] = {
    Concern.DISTRIBUTION: pb.DriftFinding.CONCERN_DISTRIBUTION,
    Concern.MISSING: pb.DriftFinding.CONCERN_MISSING,
    Concern.INFINITE: pb.DriftFinding.CONCERN_INFINITE,
    Concern.OUT_OF_RANGE: pb.DriftFinding.CONCERN_OUT_OF_RANGE,
    Concern.NEW_CATEGORY: pb.DriftFinding.CONCERN_NEW_CATEGORY,
}
_MINUTE_NS = 60 * NANOSECONDS
_DEFAULT_MINUTES = 60


def query_from_proto(proto: pb.QueryDriftRequest) -> DriftQuery:
    """The question. Raises InvalidArgument (INVALID_QUERY)."""
    minutes: float = _DEFAULT_MINUTES
    if proto.HasField("stretch"):
        minutes = nanoseconds(proto.stretch) / _MINUTE_NS
    _check(
        (bool(proto.model), "model", "must be named"),
        (proto.version >= 0, "version", "must not be negative"),
        (minutes in STRETCHES, "stretch", "must be 5 minutes, 1 hour or 1 day"),
    )
    return DriftQuery(proto.model, proto.version, proto.slice, proto.field, int(minutes))


def check_reset(proto: pb.ResetBaselineRequest) -> None:
    """Raise InvalidArgument (INVALID_QUERY) where it names no version."""
    _check(
        (bool(proto.model), "model", "must be named"),
        (proto.version > 0, "version", "must be a version's number, from 1"),
    )


def _check(*rules: tuple[bool, str, str]) -> None:
    violations = tuple(FieldViolation(field, text) for holds, field, text in rules if not holds)
    if violations:
        message = "; ".join(f"{wrong.field} {wrong.description}" for wrong in violations)
        raise errors.InvalidArgument("INVALID_QUERY", message, violations=violations)


def subject_to_proto(subject: SubjectDrift, *, with_distributions: bool) -> pb.VersionDrift:
    """How a version stands, as its message."""
    baseline = subject.baseline
    return pb.VersionDrift(
        model=subject.key.model,
        version=subject.key.version,
        slice=subject.key.slice,
        source=_SOURCES[baseline.source] if baseline else pb.VersionDrift.SOURCE_UNSPECIFIED,
        origin=baseline.origin if baseline else "",
        compared_rows=subject.compared_rows,
        learnt_rows=subject.learnt_rows,
        fields=[_field(each, with_distributions=with_distributions) for each in subject.fields],
        slices=subject.slices,
        causes=[_cause(each) for each in subject.causes],
        closed=[_finding(each) for each in subject.closed],
        untested=subject.untested,
        left_out_fields=subject.left_out_fields,
    )


def _field(field: FieldDrift, *, with_distributions: bool) -> pb.FieldDrift:
    return pb.FieldDrift(
        field=field.baseline.key.field,
        aspect=field.baseline.key.aspect,
        findings=[_finding(each) for each in field.findings],
        effects=_effects(field.effects),
        evidence_share=field.evidence_share,
        rows=int(field.current.sum()),
        reference_rows=field.baseline.rows,
        distributions=_distributions(field) if with_distributions else None,
        change=field.change,
        stretches=max(0, len(field.baseline.limits) - 1),
        examples=map(_example, field.examples) if with_distributions else (),
    )


def _example(shown: Shown) -> pb.DriftExample:
    return pb.DriftExample(
        request_id=shown.request_id,
        row=shown.row,
        time=timestamp(shown.time_ns),
        value=shown.value,
        slices=shown.slices,
    )


def _distributions(field: FieldDrift) -> pb.Distributions:
    return pb.Distributions(
        limits=field.baseline.limits,
        labels=field.baseline.labels,
        reference=field.baseline.counts.tolist(),
        current=field.current.tolist(),
        current_start_time=timestamp(field.since_ns),
    )


def _finding(finding: Finding) -> pb.DriftFinding:
    closed = finding.closed_ns
    return pb.DriftFinding(
        field=finding.field,
        aspect=finding.aspect,
        concern=_CONCERNS[finding.concern],
        change=finding.change,
        since_time=timestamp(finding.since_ns),
        found_time=timestamp(finding.found_ns),
        closed_time=None if closed is None else timestamp(closed),
        rows=finding.rows,
        evidence=finding.evidence,
        effects=_effects(finding.effects),
    )


def _effects(effects: Effects) -> pb.DriftEffects:
    return pb.DriftEffects(
        psi=effects.psi,
        jensen_shannon=effects.jensen_shannon,
        ks=effects.ks,
        wasserstein=effects.wasserstein,
    )


def _cause(cause: SliceCause) -> pb.SliceCause:
    return pb.SliceCause(field=cause.field, moved=cause.moved, unmoved=cause.unmoved)
