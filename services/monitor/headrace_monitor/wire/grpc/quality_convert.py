"""Questions about quality from messages, and answers to messages."""

from __future__ import annotations

from headrace import errors
from headrace.errors import FieldViolation
from headrace.monitor.v1 import quality_service_pb2 as pb
from headrace_monitor.domain.quality.figures import Figure, QualityFigures, QualityQuery
from headrace_monitor.domain.quality.quality_desk import DEFAULT_WINDOW_NS, QualityAnswer
from headrace_monitor.domain.quality.tallies_by_time import STRETCH_NS
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.grpc.times import MAX_SECONDS, duration, nanoseconds, timestamp

_LONGEST_NS = 400 * 24 * 3600 * NANOSECONDS


def query_from_proto(proto: pb.QueryQualityRequest) -> QualityQuery:
    """The question. Raises InvalidArgument (INVALID_QUERY)."""
    return checked(
        QualityQuery(
            nanoseconds(proto.window) if proto.HasField("window") else DEFAULT_WINDOW_NS,
            nanoseconds(proto.end_time) if proto.HasField("end_time") else 0,
            nanoseconds(proto.step) if proto.HasField("step") else 0,
            proto.model,
            proto.version,
            proto.slice if proto.HasField("slice") else None,
        )
    )


def checked(query: QualityQuery) -> QualityQuery:
    """The question, if it can be answered. Raises InvalidArgument (INVALID_QUERY)."""
    rules = (
        (query.version >= 0, "version", "must not be negative"),
        (
            0 < query.window_ns <= _LONGEST_NS,
            "window",
            "must be longer than 0, and at most 400 days",
        ),
        (0 <= query.end_ns <= MAX_SECONDS * NANOSECONDS, "end_time", "must be after 1970"),
        (query.step_ns == 0 or query.step_ns >= STRETCH_NS, "step", "must be at least 10 minutes"),
    )
    wrong = [
        FieldViolation(field, description) for is_well, field, description in rules if not is_well
    ]
    if wrong:
        message = f"{wrong[0].field} {wrong[0].description}"
        raise errors.InvalidArgument("INVALID_QUERY", message, violations=tuple(wrong))
    return query


def answer_to_proto(answer: QualityAnswer) -> pb.QueryQualityResponse:
    """The answer as a message."""
    return pb.QueryQualityResponse(
        qualities=map(_quality, answer.figures),
        sampled_share=answer.totals.share,
        dropped_predictions=answer.totals.dropped,
    )


def _quality(quality: QualityFigures) -> pb.Quality:
    return pb.Quality(
        model=quality.key.model,
        version=quality.key.version,
        slice=quality.key.slice,
        start_time=timestamp(quality.start_ns),
        end_time=timestamp(quality.end_ns),
        predictions=quality.predictions,
        labelled=quality.labelled,
        delay=duration(quality.delay_seconds * NANOSECONDS),
        figures=map(_figure, quality.figures),
        estimates=map(_figure, quality.estimates),
        confusion=[
            pb.ConfusionCount(predicted=each.predicted, truth=each.truth, count=each.count)
            for each in quality.confusion
        ],
        notes=quality.notes,
    )


def _figure(figure: Figure) -> pb.Figure:
    return pb.Figure(
        name=figure.name,
        of=figure.of,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        count=figure.count,
        estimated=figure.estimated,
    )
