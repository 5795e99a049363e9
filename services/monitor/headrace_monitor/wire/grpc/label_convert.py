"""Labels from messages, checked: a wrong one names every field that is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from headrace import errors
from headrace.errors import FieldViolation
from headrace.monitor.v1 import quality_service_pb2 as pb
from headrace_monitor.domain.quality.labels import Label, LabelCounts
from headrace_monitor.domain.quality.quality_desk import MAX_LABELS
from headrace_monitor.wire.grpc.prediction_convert import MAX_ID_LENGTH
from headrace_monitor.wire.grpc.times import LATEST_NS, nanoseconds

MAX_VIOLATIONS = 20
_MAX_ROW = 2**31 - 1


def labels_from_proto(request: pb.RecordLabelsRequest, model: str) -> Sequence[Label]:
    """The labels of a message about this model. Raises InvalidArgument (INVALID_LABELS)."""
    if request.model not in ("", model):
        raise invalid([FieldViolation("model", f"must be {model!r}, as in the first message")])
    return checked(model, [_label(each) for each in request.labels])


def checked(model: str, labels: Sequence[Label | None]) -> Sequence[Label]:
    """The labels, of which None has no truth. Raises InvalidArgument (INVALID_LABELS)."""
    violations = list(_violations(model, labels))
    if violations:
        raise invalid(violations[:MAX_VIOLATIONS])
    return [label for label in labels if label is not None]


def counts_to_proto(counts: LabelCounts) -> pb.RecordLabelsResponse:
    """What came of labels, as a message."""
    return pb.RecordLabelsResponse(
        joined=counts.joined,
        duplicates=counts.duplicates,
        corrected=counts.corrected,
        outdated=counts.outdated,
        not_sampled=counts.not_sampled,
        unknown=counts.unknown,
        wrong_kind=counts.wrong_kind,
    )


def invalid(violations: Sequence[FieldViolation]) -> errors.InvalidArgument:
    """The refusal of labels."""
    first = violations[0]
    return errors.InvalidArgument(
        "INVALID_LABELS",
        f"the labels are wrong, and none of this message is taken: {first.field} {first.description}",
        violations=tuple(violations),
    )


def _label(proto: pb.Label) -> Label | None:
    kind = proto.WhichOneof("truth")
    if kind is None:
        return None
    truth = proto.value if kind == "value" else proto.label
    time_ns = nanoseconds(proto.time) if proto.HasField("time") else 0
    return Label(proto.id, truth, proto.row, time_ns)


def _violations(model: str, labels: Sequence[Label | None]) -> Iterator[FieldViolation]:
    if not model:
        yield FieldViolation("model", "is required")
    if not 1 <= len(labels) <= MAX_LABELS:
        yield FieldViolation("labels", f"must be 1 to {MAX_LABELS}, not {len(labels)}")
        return
    for index, label in enumerate(labels):
        for field, description in _wrong(label):
            yield FieldViolation(f"labels[{index}]{field}", description)


def _wrong(label: Label | None) -> Iterable[tuple[str, str]]:
    if label is None:
        return [("", "must have a label or a value")]
    wrong = []
    if not 1 <= len(label.request_id) <= MAX_ID_LENGTH:
        wrong.append((".id", f"must have 1 to {MAX_ID_LENGTH} characters"))
    if not 0 <= label.row <= _MAX_ROW:
        wrong.append((".row", f"must be from 0 to {_MAX_ROW}"))
    if isinstance(label.truth, str):
        if not 1 <= len(label.truth) <= MAX_ID_LENGTH:
            wrong.append((".label", f"must have 1 to {MAX_ID_LENGTH} characters"))
    elif not math.isfinite(label.truth):
        wrong.append((".value", "must be a finite number"))
    if not 0 <= label.time_ns < LATEST_NS:
        wrong.append((".time", "must be after 1970, before 2262"))
    return wrong
