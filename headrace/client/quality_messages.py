"""Labels and quality between the client's nouns and messages."""

from __future__ import annotations

from dataclasses import fields

from headrace.client.quality_resources import (
    ConfusionCount,
    Label,
    LabelCounts,
    QualityAnswer,
    QualityFigure,
    VersionQuality,
)
from headrace.conversion.times import seconds_from_proto, timestamp_from_proto, timestamp_to_proto
from headrace.monitor.v1 import quality_service_pb2 as pb


def label_to_proto(label: Label) -> pb.Label:
    """A label as it is sent."""
    message = pb.Label(id=label.id, row=label.row)
    if isinstance(label.truth, str):
        message.label = label.truth
    else:
        message.value = label.truth
    if label.time is not None:
        message.time.CopyFrom(timestamp_to_proto(label.time))
    return message


def counts_from_proto(proto: pb.RecordLabelsResponse, before: LabelCounts) -> LabelCounts:
    """What came of labels, added to what came of those before."""
    names = [each.name for each in fields(LabelCounts)]
    return LabelCounts(**{name: getattr(before, name) + getattr(proto, name) for name in names})


def quality_from_proto(proto: pb.QueryQualityResponse) -> QualityAnswer:
    """The answer to a question."""
    return QualityAnswer(
        tuple(map(_quality, proto.qualities)), proto.sampled_share, proto.dropped_predictions
    )


def _quality(proto: pb.Quality) -> VersionQuality:
    return VersionQuality(
        proto.model,
        proto.version,
        proto.slice,
        timestamp_from_proto(proto.start_time),
        timestamp_from_proto(proto.end_time),
        proto.predictions,
        proto.labelled,
        seconds_from_proto(proto.delay),
        tuple(map(_figure, proto.figures)),
        tuple(map(_figure, proto.estimates)),
        tuple(ConfusionCount(each.predicted, each.truth, each.count) for each in proto.confusion),
        tuple(proto.notes),
    )


def _figure(proto: pb.Figure) -> QualityFigure:
    return QualityFigure(
        proto.name, proto.of, proto.value, proto.low, proto.high, proto.count, proto.estimated
    )
