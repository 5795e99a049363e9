"""Layouts, profiles and references as messages of `headrace.type.v1`, and back: pure functions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headrace.conversion.times import timestamp_from_proto, timestamp_to_proto
from headrace.data_profiles.binning import bin_count
from headrace.data_profiles.layouts import BinKind, Bins, FieldKind, FieldLayout, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Counts, Profile
from headrace.data_profiles.references import Enforcement, FieldSchema, Reference, Source
from headrace.type.v1 import profile_pb2 as pb

MAX_COUNT = 2**48
"""In one bin of a message: 32,000 of them add up within 64 bits."""

_BIN_KINDS = {
    BinKind.FLOAT_BITS: pb.Bins.KIND_FLOAT_BITS,
    BinKind.EDGES: pb.Bins.KIND_EDGES,
    BinKind.LABELS: pb.Bins.KIND_LABELS,
}
_PLACES = {
    Place.INPUT: pb.FieldLayout.PLACE_INPUT,
    Place.OUTPUT: pb.FieldLayout.PLACE_OUTPUT,
}
_FIELD_KINDS = {
    FieldKind.NUMBER: pb.FieldLayout.KIND_NUMBER,
    FieldKind.CATEGORY: pb.FieldLayout.KIND_CATEGORY,
    FieldKind.TEXT: pb.FieldLayout.KIND_TEXT,
    FieldKind.TENSOR: pb.FieldLayout.KIND_TENSOR,
    FieldKind.CLASS: pb.FieldLayout.KIND_CLASS,
    FieldKind.LENGTH: pb.FieldLayout.KIND_LENGTH,
}
_SOURCES = {
    Source.SAMPLES: pb.Reference.SOURCE_SAMPLES,
    Source.TRAFFIC: pb.Reference.SOURCE_TRAFFIC,
    Source.VERSION: pb.Reference.SOURCE_VERSION,
}
_ENFORCEMENTS = {
    Enforcement.COUNT: pb.FieldSchema.ENFORCEMENT_COUNT,
    Enforcement.FLAG: pb.FieldSchema.ENFORCEMENT_FLAG,
    Enforcement.REJECT: pb.FieldSchema.ENFORCEMENT_REJECT,
}
_FROM_BIN_KINDS = {value: kind for kind, value in _BIN_KINDS.items()}
_FROM_PLACES = {value: place for place, value in _PLACES.items()}
_FROM_FIELD_KINDS = {value: kind for kind, value in _FIELD_KINDS.items()}
_FROM_SOURCES = {value: source for source, value in _SOURCES.items()}
_FROM_ENFORCEMENTS = {value: word for word, value in _ENFORCEMENTS.items()}


def layout_to_proto(layout: Layout) -> pb.Layout:
    """A layout as its message."""
    return pb.Layout(fields=map(_field_to_proto, layout.fields), reference=layout.reference)


def layout_from_proto(proto: pb.Layout) -> Layout:
    """The layout of a message, without fields and aspects of kinds that are not known here."""
    known = [each for each in proto.fields if each.kind in _FROM_FIELD_KINDS]
    return Layout(tuple(map(_field_from_proto, known)), proto.reference)


def _field_to_proto(field: FieldLayout) -> pb.FieldLayout:
    return pb.FieldLayout(
        name=field.name,
        place=_PLACES[field.place],
        kind=_FIELD_KINDS[field.kind],
        tensor=field.tensor,
        column=field.column,
        aspects={name: _bins_to_proto(bins) for name, bins in field.aspects.items()},
    )


def _field_from_proto(proto: pb.FieldLayout) -> FieldLayout:
    return FieldLayout(
        name=proto.name,
        place=_FROM_PLACES.get(proto.place, Place.INPUT),
        kind=_FROM_FIELD_KINDS[proto.kind],
        tensor=proto.tensor,
        column=proto.column,
        aspects={
            name: _bins_from_proto(bins)
            for name, bins in sorted(proto.aspects.items())
            if bins.kind in _FROM_BIN_KINDS
        },
    )


def _bins_to_proto(bins: Bins) -> pb.Bins:
    return pb.Bins(kind=_BIN_KINDS[bins.kind], edges=bins.edges, labels=bins.labels)


def _bins_from_proto(proto: pb.Bins) -> Bins:
    return Bins(_FROM_BIN_KINDS[proto.kind], tuple(proto.edges), tuple(proto.labels))


def profile_to_proto(profile: Profile) -> pb.Profile:
    """A profile as its message: counts of bins that are not empty."""
    return pb.Profile(
        reference=profile.reference,
        rows=profile.rows,
        seen_rows=profile.seen_rows,
        counts=[_counts_to_proto(key, counts) for key, counts in sorted(profile.counts.items())],
    )


def profile_from_proto(proto: pb.Profile, layout: Layout) -> Profile:
    """The profile of a message, in the bins of a layout. Raises ValueError for bins that it has not."""
    sizes = {
        AspectKey(field.name, name): bin_count(bins)
        for field in layout.fields
        for name, bins in field.aspects.items()
    }
    counts = {
        key: _counts_from_proto(each, sizes[key])
        for each in proto.counts
        if (key := AspectKey(each.field, each.aspect)) in sizes
    }
    return Profile(proto.reference, proto.rows, proto.seen_rows, counts)


def _counts_to_proto(key: AspectKey, counts: Counts) -> pb.AspectCounts:
    filled = np.flatnonzero(counts)
    return pb.AspectCounts(
        field=key.field,
        aspect=key.aspect,
        bins=filled.tolist(),
        counts=counts[filled].tolist(),
    )


def _counts_from_proto(proto: pb.AspectCounts, size: int) -> Counts:
    bins = np.array(proto.bins, np.int64)
    if len(bins) != len(proto.counts) or (np.diff(bins, prepend=-1) <= 0).any():
        raise ValueError(f"the counts of {proto.field!r} do not name their bins")
    if len(bins) and not 0 <= min(proto.counts) <= max(proto.counts) <= MAX_COUNT:
        raise ValueError(f"a count of {proto.field!r} is not from 0 to 2^48")
    least = int(bins.max()) + 1 if len(bins) else 0
    if least > size:
        raise ValueError(f"there is no bin {least - 1} of {proto.field!r}")
    counts = np.zeros(size, np.int64)
    counts[bins] = np.array(proto.counts, np.int64)
    return counts


def schema_to_proto(schema: FieldSchema) -> pb.FieldSchema:
    """What was learnt of a field, as its message."""
    return pb.FieldSchema(
        lowest=schema.lowest,
        highest=schema.highest,
        categories=schema.categories or (),
        has_categories=schema.categories is not None,
        missing_rate=schema.missing_rate,
        enforcement=_ENFORCEMENTS[schema.enforcement],
    )


def schema_from_proto(proto: pb.FieldSchema) -> FieldSchema:
    """What a message says was learnt of a field."""
    return FieldSchema(
        lowest=proto.lowest if proto.HasField("lowest") else None,
        highest=proto.highest if proto.HasField("highest") else None,
        categories=tuple(proto.categories) if proto.has_categories else None,
        missing_rate=proto.missing_rate,
        enforcement=_FROM_ENFORCEMENTS.get(proto.enforcement, Enforcement.COUNT),
    )


def reference_to_proto(reference: Reference) -> pb.Reference:
    """A reference as its message."""
    return pb.Reference(
        source=_SOURCES[reference.source],
        layout=layout_to_proto(reference.layout),
        profile=profile_to_proto(reference.profile),
        schema={name: schema_to_proto(each) for name, each in reference.schema.items()},
        create_time=timestamp_to_proto(reference.created_at),
        origin=reference.origin,
    )


def reference_from_proto(proto: pb.Reference) -> Reference:
    """The reference of a message. Raises ValueError where its counts are not of its bins."""
    layout = layout_from_proto(proto.layout)
    schema: Mapping[str, FieldSchema] = {
        name: schema_from_proto(each) for name, each in sorted(proto.schema.items())
    }
    return Reference(
        source=_FROM_SOURCES.get(proto.source, Source.SAMPLES),
        layout=layout,
        profile=profile_from_proto(proto.profile, layout),
        schema=schema,
        created_at=timestamp_from_proto(proto.create_time),
        origin=proto.origin,
    )
