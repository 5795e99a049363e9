"""Messages about drift as what the client hands out."""

from __future__ import annotations

from headrace.client.answers import reading_an_answer
from headrace.client.drift_resources import (
    Distributions,
    Drift,
    DriftEffects,
    DriftExample,
    DriftFinding,
    FieldDrift,
    SliceCause,
    VersionDrift,
)
from headrace.conversion.times import timestamp_from_proto
from headrace.monitor.v1 import drift_service_pb2 as pb


@reading_an_answer()
def drift_from_proto(proto: pb.QueryDriftResponse) -> Drift:
    """How versions stand. Raises Internal for an answer that makes no sense."""
    return Drift(tuple(map(_version, proto.versions)), proto.alpha, proto.margin)


def _version(proto: pb.VersionDrift) -> VersionDrift:
    return VersionDrift(
        proto.model,
        proto.version,
        proto.slice,
        _word(pb.VersionDrift.Source.Name(proto.source), "SOURCE_"),
        proto.origin,
        proto.compared_rows,
        proto.learnt_rows,
        tuple(map(_field, proto.fields)),
        tuple(proto.slices),
        tuple(
            SliceCause(each.field, tuple(each.moved), tuple(each.unmoved)) for each in proto.causes
        ),
        tuple(map(_finding, proto.closed)),
        proto.untested,
        proto.left_out_fields,
    )


def _field(proto: pb.FieldDrift) -> FieldDrift:
    has_both = proto.HasField("distributions")
    return FieldDrift(
        proto.field,
        proto.aspect,
        tuple(map(_finding, proto.findings)),
        _effects(proto.effects),
        proto.evidence_share,
        proto.rows,
        proto.reference_rows,
        proto.change,
        proto.stretches,
        _distributions(proto.distributions) if has_both else None,
        tuple(map(_example, proto.examples)),
    )


def _example(proto: pb.DriftExample) -> DriftExample:
    return DriftExample(
        proto.request_id,
        proto.row,
        timestamp_from_proto(proto.time),
        proto.value,
        tuple(proto.slices),
    )


def _distributions(proto: pb.Distributions) -> Distributions:
    return Distributions(
        tuple(proto.limits),
        tuple(proto.labels),
        tuple(proto.reference),
        tuple(proto.current),
        timestamp_from_proto(proto.current_start_time),
    )


def _finding(proto: pb.DriftFinding) -> DriftFinding:
    return DriftFinding(
        proto.field,
        proto.aspect,
        _word(pb.DriftFinding.Concern.Name(proto.concern), "CONCERN_"),
        proto.change,
        timestamp_from_proto(proto.since_time),
        timestamp_from_proto(proto.found_time),
        timestamp_from_proto(proto.closed_time) if proto.HasField("closed_time") else None,
        proto.rows,
        proto.evidence,
        _effects(proto.effects),
    )


def _effects(proto: pb.DriftEffects) -> DriftEffects:
    wasserstein = proto.wasserstein if proto.HasField("wasserstein") else None
    return DriftEffects(proto.psi, proto.jensen_shannon, proto.ks, wasserstein)


def _word(name: str, prefix: str) -> str:
    word = name.removeprefix(prefix).lower()
    return "" if word == "unspecified" else word
