"""What is said of versions as messages: pure functions."""

from __future__ import annotations

from headrace.conversion.annotations import attachment_to_proto, lineage_to_proto, metric_to_proto
from headrace.conversion.times import timestamp_to_proto
from headrace.registry.v1 import annotation_pb2
from headrace.state.annotation_records import AnnotationRecord
from headrace.state.changes import Change
from headrace.state.record_collections import ANNOTATIONS
from headrace_registry.domain.decisions.etags import etag_of


def annotations_after(change: Change) -> annotation_pb2.VersionAnnotations:
    """All that is said of a version after a change."""
    record = change.records[ANNOTATIONS.name][change.resource]
    assert isinstance(record, AnnotationRecord)
    return annotations_to_proto(record)


def annotations_to_proto(record: AnnotationRecord) -> annotation_pb2.VersionAnnotations:
    """All that is said of a version, as its message."""
    return annotation_pb2.VersionAnnotations(
        name=record.name,
        tags=record.tags,
        description=record.description,
        metrics=map(metric_to_proto, record.metrics),
        lineage=lineage_to_proto(record.lineage) if record.lineage else None,
        attachments=map(attachment_to_proto, record.attachments),
        update_time=timestamp_to_proto(record.updated_at) if record.updated_at else None,
        etag=etag_of(record.revision),
    )
