"""Annotations as messages, and as what the client hands out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.client.annotation_resources import FoundVersion, Metric, VersionAnnotations
from headrace.client.answers import reading_an_answer
from headrace.client.resource_messages import version_from_proto
from headrace.conversion.annotations import (
    attachment_from_proto,
    lineage_from_proto,
    metric_from_proto,
    metric_to_proto,
)
from headrace.conversion.times import timestamp_from_proto
from headrace.registry.v1 import annotation_pb2, annotation_service_pb2
from headrace.resource_names import parse_annotations

Metrics = Iterable[Metric] | Mapping[str, float]
"""Metrics, or plain values by their names."""


def annotations_from_proto(proto: annotation_pb2.VersionAnnotations) -> VersionAnnotations:
    """All that is said of a version, as the registry tells it."""
    with reading_an_answer():
        model, version = parse_annotations(proto.name)
        return VersionAnnotations(
            model,
            version,
            dict(proto.tags),
            proto.description,
            tuple(map(metric_from_proto, proto.metrics)),
            lineage_from_proto(proto.lineage) if proto.HasField("lineage") else None,
            tuple(map(attachment_from_proto, proto.attachments)),
            timestamp_from_proto(proto.update_time),
            proto.etag,
        )


def metrics_to_proto(metrics: Metrics) -> list[annotation_pb2.Metric]:
    """Metrics, or plain values by their names, as messages."""
    if isinstance(metrics, Mapping):
        metrics = [Metric(name, float(value)) for name, value in metrics.items()]
    return [metric_to_proto(each) for each in metrics]


def found_from_proto(proto: annotation_service_pb2.SearchVersionsResponse.Found) -> FoundVersion:
    """A version that was found, as the registry tells it."""
    return FoundVersion(
        version_from_proto(proto.version),
        annotations_from_proto(proto.annotations),
        tuple(proto.aliases),
    )
