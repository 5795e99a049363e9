"""Messages of references as what the client hands out, and words of enforcement as messages."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.client.reference_resources import ReferenceField, VersionReference
from headrace.conversion.times import timestamp_from_proto
from headrace.data_profiles.layouts import VALUE, BinKind, Bins, FieldKind
from headrace.data_profiles.typical_values import typical_value
from headrace.errors import InvalidArgument
from headrace.registry.v1 import reference_pb2
from headrace.resource_names import parse_reference
from headrace.type.v1 import profile_pb2

_WORDS = {
    "count": profile_pb2.FieldSchema.ENFORCEMENT_COUNT,
    "flag": profile_pb2.FieldSchema.ENFORCEMENT_FLAG,
    "reject": profile_pb2.FieldSchema.ENFORCEMENT_REJECT,
}
Enforcement = profile_pb2.FieldSchema.Enforcement
_SAID = {value: word for word, value in _WORDS.items()}


def reference_from_proto(proto: reference_pb2.VersionReference) -> VersionReference:
    """A reference as the registry tells it."""
    model, version = parse_reference(proto.name)
    content = proto.reference
    counts = {
        each.field: dict(zip(each.bins, each.counts, strict=True))
        for each in content.profile.counts
        if each.aspect == VALUE
    }
    source = profile_pb2.Reference.Source.Name(content.source).removeprefix("SOURCE_").lower()
    return VersionReference(
        model,
        version,
        proto.digest,
        proto.rows,
        proto.size_bytes,
        source,
        content.origin,
        timestamp_from_proto(content.create_time),
        timestamp_from_proto(proto.update_time),
        proto.etag,
        tuple(
            _field(each, content.schema, counts.get(each.name, {}))
            for each in content.layout.fields
        ),
    )


def enforcement_to_proto(fields: Mapping[str, str]) -> dict[str, Enforcement]:
    """Words by field as a message has them. Raises InvalidArgument (ENFORCEMENT_INVALID)."""
    wrong = next((word for word in fields.values() if word not in _WORDS), None)
    if wrong is not None:
        raise InvalidArgument(
            "ENFORCEMENT_INVALID", f"{wrong!r} cannot be enforced: say {', '.join(_WORDS)}"
        )
    return {name: _WORDS[word] for name, word in fields.items()}


def _field(
    proto: profile_pb2.FieldLayout,
    schema: Mapping[str, profile_pb2.FieldSchema],
    counts: Mapping[int, int],
) -> ReferenceField:
    kind = profile_pb2.FieldLayout.Kind.Name(proto.kind).removeprefix("KIND_").lower()
    bins = sum(len(each.edges) + len(each.labels) for each in proto.aspects.values())
    learnt = schema.get(proto.name)
    typical = _typical(proto, kind, counts)
    if learnt is None:
        return ReferenceField(proto.name, kind, bins, typical=typical)
    return ReferenceField(
        proto.name,
        kind,
        bins,
        learnt.lowest if learnt.HasField("lowest") else None,
        learnt.highest if learnt.HasField("highest") else None,
        tuple(learnt.categories) if learnt.has_categories else None,
        learnt.missing_rate,
        _SAID.get(learnt.enforcement, "count"),
        typical,
    )


def _typical(
    proto: profile_pb2.FieldLayout, kind: str, counts: Mapping[int, int]
) -> float | str | None:
    if kind == FieldKind.TEXT:
        return ""
    if VALUE not in proto.aspects or kind not in (FieldKind.NUMBER, FieldKind.CATEGORY):
        return None
    value = proto.aspects[VALUE]
    is_labels = value.kind == profile_pb2.Bins.KIND_LABELS
    is_edges = value.kind == profile_pb2.Bins.KIND_EDGES
    if not is_labels and not is_edges:
        return None
    bins = Bins(
        BinKind.LABELS if is_labels else BinKind.EDGES, tuple(value.edges), tuple(value.labels)
    )
    return typical_value(FieldKind(kind), bins, counts)
