"""Reads requests about references into the domain's nouns: what contradicts itself is refused here."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from google.protobuf.message import DecodeError

from headrace import errors
from headrace.conversion import timestamp_from_proto
from headrace.registry.v1 import reference_service_pb2 as pb
from headrace.resource_names import parse_reference, parse_version
from headrace.type.v1 import profile_pb2
from headrace_registry.domain.resources.references import (
    EnforcementEdit,
    NewReference,
    ReferenceContent,
    ReferenceCopy,
    ReferenceRemoval,
)

MAX_CONTENT_BYTES = 3 << 20
"""A message of gRPC has 4 MiB where its receiver does not say more."""
MAX_FIELDS = 2048
MAX_LABELS = 4096
"""As many as an output may have classes."""
MAX_LABEL_CHARACTERS = 128
MAX_EDGES = 512
MAX_NAME_CHARACTERS = 512
MAX_ORIGIN_CHARACTERS = 256

_SOURCES = {
    profile_pb2.Reference.SOURCE_SAMPLES: "samples",
    profile_pb2.Reference.SOURCE_TRAFFIC: "traffic",
    profile_pb2.Reference.SOURCE_VERSION: "version",
}
_WORDS = {
    profile_pb2.FieldSchema.ENFORCEMENT_COUNT: "count",
    profile_pb2.FieldSchema.ENFORCEMENT_FLAG: "flag",
    profile_pb2.FieldSchema.ENFORCEMENT_REJECT: "reject",
}
_OF_ONE_VALUE = (
    profile_pb2.FieldLayout.KIND_NUMBER,
    profile_pb2.FieldLayout.KIND_CATEGORY,
    profile_pb2.FieldLayout.KIND_TEXT,
)
"""Kinds of fields with one value a row, which can be compared with what was learnt."""
_OF_NUMBERS = (
    profile_pb2.FieldLayout.KIND_NUMBER,
    profile_pb2.FieldLayout.KIND_CLASS,
    profile_pb2.FieldLayout.KIND_TENSOR,
)
_BEFORE_EDGES = 3
"""The bins of what is missing, infinite and below; behind the edges comes one for what is above."""
_BEFORE_LABELS = 2


def new_reference(request: pb.SetReferenceRequest) -> NewReference:
    """The reference to set. Raises InvalidArgument (REFERENCE_INVALID), ResourceExhausted."""
    model, number = parse_version(request.parent)
    given = request.reference
    if len(given.origin) > MAX_ORIGIN_CHARACTERS:
        raise _invalid(f"its origin has over {MAX_ORIGIN_CHARACTERS} characters")
    enforced = {
        name: word
        for name, schema in given.schema.items()
        if (word := _WORDS.get(schema.enforcement)) not in (None, "count")
    }
    return NewReference(
        model,
        number,
        _content(given),
        _SOURCES.get(given.source, "samples"),
        given.origin,
        timestamp_from_proto(given.create_time),
        enforced or None,
        request.etag,
    )


def reference_copy(request: pb.SetReferenceRequest) -> ReferenceCopy | None:
    """The reference to take from another version, if that is asked for. Raises InvalidArgument."""
    if not request.from_version:
        return None
    if request.HasField("reference"):
        raise _invalid("give a reference or from_version, not both")
    model, number = parse_version(request.parent)
    if request.from_version < 0 or request.from_version == number:
        raise _invalid(f"from_version must be another version, not {request.from_version}")
    return ReferenceCopy(model, number, request.from_version, request.etag)


def reference_removal(request: pb.DeleteReferenceRequest) -> ReferenceRemoval:
    """The reference to delete."""
    return ReferenceRemoval(*parse_reference(request.name), request.etag)


def enforcement_edit(request: pb.UpdateEnforcementRequest) -> EnforcementEdit:
    """What is to be enforced. Raises InvalidArgument (ENFORCEMENT_INVALID)."""
    model, number = parse_reference(request.name)
    words = {name: _WORDS.get(value) for name, value in request.fields.items()}
    if not words or None in words.values():
        raise errors.InvalidArgument(
            "ENFORCEMENT_INVALID",
            "say of one field at least what is done with rows that differ: ENFORCEMENT_COUNT, "
            "ENFORCEMENT_FLAG or ENFORCEMENT_REJECT",
        )
    return EnforcementEdit(
        model, number, {name: word for name, word in words.items() if word}, request.etag
    )


def enforceable_fields(content: bytes) -> frozenset[str]:
    """The fields of inputs of which the content's schema says something. Raises DataLoss."""
    return _enforceable(read_content(content))


def read_content(content: bytes) -> profile_pb2.Reference:
    """The message that is kept. Raises DataLoss (BLOB_DAMAGED)."""
    try:
        return profile_pb2.Reference.FromString(content)
    except DecodeError as error:
        raise errors.DataLoss(
            "BLOB_DAMAGED", "the content of a reference cannot be read: set it again"
        ) from error


def _content(given: profile_pb2.Reference) -> ReferenceContent:
    """What is kept of a reference: neither where it is from nor what is enforced, which may change."""
    kept = profile_pb2.Reference(layout=given.layout, profile=given.profile, schema=given.schema)
    kept.layout.reference = kept.profile.reference = ""
    for schema in kept.schema.values():
        schema.enforcement = profile_pb2.FieldSchema.ENFORCEMENT_UNSPECIFIED
    data = kept.SerializeToString(deterministic=True)
    if len(data) > MAX_CONTENT_BYTES:
        raise errors.ResourceExhausted(
            "REFERENCE_TOO_LARGE",
            f"the reference has {len(data)} bytes, and up to {MAX_CONTENT_BYTES} are kept: give fewer "
            "fields, or shorter labels",
            facts={"limit": str(MAX_CONTENT_BYTES)},
        )
    wrong = next(_faults(kept), None)
    if wrong is not None:
        raise _invalid(wrong)
    fields = kept.layout.fields
    return ReferenceContent(
        data,
        hashlib.sha256(data).hexdigest(),
        kept.profile.rows,
        len(fields),
        frozenset(each.tensor for each in fields if each.tensor and _is_input(each)),
        frozenset(each.tensor for each in fields if each.tensor and not _is_input(each)),
        frozenset(each.tensor for each in fields if each.tensor and _is_of_numbers(each)),
        frozenset(each.tensor for each in fields if each.kind == profile_pb2.FieldLayout.KIND_TEXT),
        _enforceable(kept),
    )


def _enforceable(kept: profile_pb2.Reference) -> frozenset[str]:
    return frozenset(
        each.name
        for each in kept.layout.fields
        if each.name in kept.schema
        and each.tensor
        and _is_input(each)
        and each.kind in _OF_ONE_VALUE
    )


def _is_of_numbers(field: profile_pb2.FieldLayout) -> bool:
    if field.kind in _OF_NUMBERS:
        return True
    labels = profile_pb2.Bins.KIND_LABELS
    return field.kind == profile_pb2.FieldLayout.KIND_CATEGORY and any(
        bins.kind != labels for bins in field.aspects.values()
    )


def _is_input(field: profile_pb2.FieldLayout) -> bool:
    return field.place == profile_pb2.FieldLayout.PLACE_INPUT


def _invalid(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("REFERENCE_INVALID", f"the reference is not valid: {what}")


def _faults(kept: profile_pb2.Reference) -> Iterator[str]:
    """What is wrong with a reference, the first first."""
    fields = kept.layout.fields
    if not 0 < len(fields) <= MAX_FIELDS:
        yield f"it has {len(fields)} fields; 1 to {MAX_FIELDS} are allowed"
    if kept.profile.rows <= 0:
        yield "it is of no rows"
    names = {field.name for field in fields}
    if len(names) != len(fields):
        yield "two of its fields have the same name"
    for field in fields:
        yield from _field_faults(field)
    bins = {(each.name, name): of for each in fields for name, of in each.aspects.items()}
    for counts in kept.profile.counts:
        yield from _count_faults(counts, bins.get((counts.field, counts.aspect)))
    for name, schema in kept.schema.items():
        yield from _schema_faults(name, schema, is_known=name in names)


def _field_faults(field: profile_pb2.FieldLayout) -> Iterator[str]:
    if not 0 < len(field.name) <= MAX_NAME_CHARACTERS:
        yield f"a field's name has 1 to {MAX_NAME_CHARACTERS} characters, not {len(field.name)}"
    if not field.place or not field.kind:
        yield f"field {field.name!r} says no place or no kind"
    if not field.aspects:
        yield f"field {field.name!r} has no bins"
    for bins in field.aspects.values():
        yield from (f"field {field.name!r}: {wrong}" for wrong in _bin_faults(bins))


def _bin_faults(bins: profile_pb2.Bins) -> Iterator[str]:
    if bins.kind == profile_pb2.Bins.KIND_UNSPECIFIED:
        yield "its bins have no kind"
    if bins.kind == profile_pb2.Bins.KIND_EDGES and not 2 <= len(bins.edges) <= MAX_EDGES:
        yield f"{len(bins.edges)} edges; 2 to {MAX_EDGES} are allowed"
    if not all(map(math.isfinite, bins.edges)) or not _ascend(bins.edges):
        yield "edges must be finite, and ascend"
    if len(bins.labels) > MAX_LABELS or any(
        not 0 < len(each) <= MAX_LABEL_CHARACTERS for each in bins.labels
    ):
        yield f"up to {MAX_LABELS} labels of 1 to {MAX_LABEL_CHARACTERS} characters are allowed"
    if len(set(bins.labels)) != len(bins.labels):
        yield "a label is there twice"


def _ascend(edges: Sequence[float]) -> bool:
    return all(one < other for one, other in pairwise(edges))


def _count_faults(counts: profile_pb2.AspectCounts, bins: profile_pb2.Bins | None) -> Iterator[str]:
    what = f"the counts of {counts.field!r}, {counts.aspect!r}"
    if bins is None:
        yield f"{what} belong to no field"
    elif len(counts.bins) != len(counts.counts) or not _ascend(counts.bins):
        yield f"{what} do not name each bin once, ascending"
    elif any(count < 0 for count in counts.counts):
        yield f"{what} are below 0"
    elif counts.bins and not 0 <= counts.bins[0] <= counts.bins[-1] < _bin_count(bins):
        yield f"{what} are of bins that there are not"


def _bin_count(bins: profile_pb2.Bins) -> float:
    if bins.kind == profile_pb2.Bins.KIND_EDGES:
        return _BEFORE_EDGES + len(bins.edges)
    if bins.kind == profile_pb2.Bins.KIND_LABELS:
        return _BEFORE_LABELS + len(bins.labels) + 1
    return math.inf


def _schema_faults(name: str, schema: profile_pb2.FieldSchema, *, is_known: bool) -> Iterator[str]:
    if not is_known:
        yield f"its schema tells of {name!r}, which is no field"
    bounds = [getattr(schema, each) for each in ("lowest", "highest") if schema.HasField(each)]
    if any(map(math.isnan, bounds)) or bounds != sorted(bounds):
        yield f"the range of {name!r} has its ends the wrong way round, or is none"
    if not 0 <= schema.missing_rate <= 1:
        yield f"the share of missing values of {name!r} is not between 0 and 1"
    if len(schema.categories) > MAX_LABELS:
        yield f"{name!r} has {len(schema.categories)} categories; up to {MAX_LABELS} are allowed"
