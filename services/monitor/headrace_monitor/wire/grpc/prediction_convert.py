"""Answers in reports, from their messages, checked."""

from __future__ import annotations

import math
from collections.abc import Iterator

from headrace.errors import FieldViolation
from headrace.monitor.v1 import telemetry_pb2
from headrace_monitor.domain.telemetry.prediction import NONE_TOLD, Prediction, ToldPredictions
from headrace_monitor.wire.grpc.times import LATEST_NS, nanoseconds

MAX_PREDICTIONS = 5_000
"""In one report; replicas send some 100."""

MAX_ID_LENGTH = 256
"""Of requests' ids, and of classes."""

MAX_NAME_LENGTH = 128
MAX_SLICES = 20
MAX_SLICE_LENGTH = 256
MAX_COUNT = 2**48


def told_from_proto(proto: telemetry_pb2.TelemetryReport) -> ToldPredictions:
    """The answers in a report without violations."""
    if not (proto.predictions or proto.prediction_share or proto.dropped_predictions):
        return NONE_TOLD
    predictions = tuple(map(_prediction, proto.predictions))
    return ToldPredictions(predictions, proto.prediction_share, proto.dropped_predictions)


def violations_in(proto: telemetry_pb2.TelemetryReport) -> Iterator[FieldViolation]:
    """What is wrong with the answers in a report."""
    if len(proto.predictions) > MAX_PREDICTIONS:
        yield FieldViolation("predictions", f"must be at most {MAX_PREDICTIONS}")
        return
    if not 0 <= proto.prediction_share <= 1:  # NaN is in no range
        yield FieldViolation("prediction_share", "must be from 0 to 1")
    if not 0 <= proto.dropped_predictions <= MAX_COUNT:
        yield FieldViolation("dropped_predictions", "must be from 0 to 2^48")
    for index, prediction in enumerate(proto.predictions):
        for field, description in _wrong(prediction):
            yield FieldViolation(f"predictions[{index}].{field}", description)


def _wrong(proto: telemetry_pb2.Prediction) -> Iterator[tuple[str, str]]:
    if not 1 <= len(proto.model) <= MAX_NAME_LENGTH:
        yield "model", f"must have 1 to {MAX_NAME_LENGTH} characters"
    if proto.version < 1:
        yield "version", "must be 1 or more"
    if not 1 <= len(proto.request_id) <= MAX_ID_LENGTH:
        yield "request_id", f"must have 1 to {MAX_ID_LENGTH} characters"
    if proto.row < 0:
        yield "row", "must not be negative"
    if not 0 < nanoseconds(proto.time) < LATEST_NS:
        yield "time", "is required, and after 1970, before 2262"
    if len(proto.slices) > MAX_SLICES or any(len(each) > MAX_SLICE_LENGTH for each in proto.slices):
        yield "slices", f"must be at most {MAX_SLICES} of up to {MAX_SLICE_LENGTH} characters"
    yield from _wrong_answer(proto)


def _wrong_answer(proto: telemetry_pb2.Prediction) -> Iterator[tuple[str, str]]:
    kind = proto.WhichOneof("answer")
    if kind is None:
        yield "answer", "is required"
    if kind == "value" and not math.isfinite(proto.value):
        yield "value", "must be a finite number"
    if max(len(proto.label), len(proto.positive_label)) > MAX_ID_LENGTH:
        yield "label", f"must have at most {MAX_ID_LENGTH} characters"
    if not (0 <= proto.confidence <= 1 and 0 <= proto.score <= 1):
        yield "confidence", "must be from 0 to 1, as the score"


def _prediction(proto: telemetry_pb2.Prediction) -> Prediction:
    return Prediction(
        proto.model,
        proto.version,
        proto.request_id,
        proto.row,
        nanoseconds(proto.time),
        proto.value if proto.WhichOneof("answer") == "value" else proto.label,
        tuple(proto.slices),
        proto.confidence if proto.HasField("confidence") else None,
        proto.score if proto.HasField("score") else None,
        proto.positive_label,
    )
