"""Metrics, lineage and attachments of versions as messages, and back: pure functions."""

from __future__ import annotations

from headrace.conversion.times import timestamp_from_proto, timestamp_to_proto
from headrace.registry.v1 import annotation_pb2
from headrace.state.annotation_records import Attachment, Lineage, Metric


def metric_to_proto(metric: Metric) -> annotation_pb2.Metric:
    """A metric as its message."""
    return annotation_pb2.Metric(
        name=metric.name,
        value=metric.value,
        slice=metric.slice,
        data_digest=metric.data_digest,
        data_name=metric.data_name,
        lower=metric.lower,
        upper=metric.upper,
        confidence=metric.confidence,
        rows=metric.rows,
        measure_time=timestamp_to_proto(metric.measured_at) if metric.measured_at else None,
    )


def metric_from_proto(proto: annotation_pb2.Metric) -> Metric:
    """The metric of a message."""
    return Metric(
        proto.name,
        proto.value,
        proto.slice,
        proto.data_digest,
        proto.data_name,
        proto.lower if proto.HasField("lower") else None,
        proto.upper if proto.HasField("upper") else None,
        proto.confidence,
        proto.rows,
        timestamp_from_proto(proto.measure_time),
    )


def lineage_to_proto(lineage: Lineage) -> annotation_pb2.Lineage:
    """Where a version is from, as its message."""
    return annotation_pb2.Lineage(
        parent_version=lineage.parent_version,
        method=lineage.method,
        command=lineage.command,
        source_revision=lineage.source_revision,
        data_digest=lineage.data_digest,
        training_run=lineage.training_run,
        facts=lineage.facts,
    )


def lineage_from_proto(proto: annotation_pb2.Lineage) -> Lineage:
    """Where a version is from, of a message."""
    return Lineage(
        proto.parent_version,
        proto.method,
        proto.command,
        proto.source_revision,
        proto.data_digest,
        proto.training_run,
        dict(proto.facts),
    )


def attachment_to_proto(attachment: Attachment) -> annotation_pb2.Attachment:
    """An attachment as its message."""
    return annotation_pb2.Attachment(
        path=attachment.path,
        media_type=attachment.media_type,
        size_bytes=attachment.size_bytes,
        sha256=attachment.sha256,
        create_time=timestamp_to_proto(attachment.created_at),
    )


def attachment_from_proto(proto: annotation_pb2.Attachment) -> Attachment:
    """The attachment of a message."""
    return Attachment(
        proto.path,
        proto.media_type,
        proto.size_bytes,
        proto.sha256,
        timestamp_from_proto(proto.create_time),
    )
