"""Makes references from rows: bins that suit each field, the rows counted in them, and learnt schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from headrace.data_profiles.binning import Values, count
from headrace.data_profiles.layouts import VALUE, BinKind, Bins, FieldKind, FieldLayout, Layout
from headrace.data_profiles.learnt_schemas import learn_schemas
from headrace.data_profiles.number_labels import label_of
from headrace.data_profiles.profiles import AspectKey, Counts, Profile
from headrace.data_profiles.quantile_edges import edges_at_quantiles
from headrace.data_profiles.reference_digests import with_digest
from headrace.data_profiles.references import Reference, Source
from headrace.data_profiles.tensor_fields import MAX_FIELDS

MAX_LABELS = 64
"""A field with more distinct texts is a text, not a category."""
MAX_DISTINCT_NUMBERS = 32
"""A field with more distinct numbers has bins by edges."""
MAX_LABEL_CHARACTERS = 128
_ROWS_A_LABEL = 8
"""A sample of fewer rows for each distinct value says too little of which values there are."""


@dataclass(frozen=True, slots=True, eq=False)
class ObservedField:
    """A field of a sample: its place and kind, without bins yet, and the values of its aspects."""

    layout: FieldLayout
    aspects: Mapping[str, Values]


def reference_of(
    fields: Iterable[ObservedField], rows: int, *, origin: str = "", created_at: float = 0.0
) -> Reference:
    """The reference of a sample of rows, with its digest. Raises ValueError where there are no rows."""
    if not rows:
        raise ValueError("a sample without rows says nothing")
    layouts: list[FieldLayout] = []
    counts: dict[AspectKey, Counts] = {}
    for field in list(fields)[:MAX_FIELDS]:
        layout, counted = _learnt(field)
        layouts.append(layout)
        counts.update({AspectKey(layout.name, aspect): of for aspect, of in counted.items()})
    profile = Profile("", rows, rows, counts)
    schema = learn_schemas(tuple(layouts), profile)
    made = Reference(Source.SAMPLES, Layout(tuple(layouts)), profile, schema, created_at, origin)
    return with_digest(made)


def _learnt(field: ObservedField) -> tuple[FieldLayout, Mapping[str, Counts]]:
    """The field with its kind and bins, and its counts.

    A text of few distinct values is a category; of one of many, its values are not counted.
    """
    kind, aspects = field.layout.kind, dict(field.aspects)
    if kind is FieldKind.TEXT and VALUE in aspects:
        if _is_few(aspects[VALUE]):
            kind, aspects = FieldKind.CATEGORY, {VALUE: aspects[VALUE]}
        else:
            del aspects[VALUE]
    bins = {aspect: bins_of(values) for aspect, values in aspects.items()}
    if kind is FieldKind.NUMBER and bins[VALUE].kind is BinKind.LABELS:
        kind = FieldKind.CATEGORY
    counts = {aspect: count(bins[aspect], values) for aspect, values in aspects.items()}
    return replace(field.layout, kind=kind, aspects=bins), counts


def _is_few(texts: Values) -> bool:
    present = texts[texts != ""]
    distinct = set(present.tolist())
    return (
        0 < len(distinct) <= MAX_LABELS
        and len(present) >= _ROWS_A_LABEL * len(distinct)
        and max(map(len, distinct)) <= MAX_LABEL_CHARACTERS
    )


def bins_of(values: Values) -> Bins:
    """The bins that suit these values of an aspect, texts or float64."""
    if values.dtype == object:
        return Bins(BinKind.LABELS, labels=_text_labels(values))
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Bins(BinKind.FLOAT_BITS)
    distinct = np.unique(finite)
    if len(distinct) <= MAX_DISTINCT_NUMBERS and len(finite) >= _ROWS_A_LABEL * len(distinct):
        return Bins(BinKind.LABELS, labels=tuple(map(label_of, distinct.tolist())))
    return Bins(BinKind.EDGES, edges=edges_at_quantiles(finite))


def _text_labels(values: Values) -> tuple[str, ...]:
    """The most frequent texts, in their order: all of them where they are few."""
    texts, counts = np.unique(values.astype(str), return_counts=True)
    usable = [
        (-int(count), str(text))
        for text, count in zip(texts, counts, strict=True)
        if 0 < len(text) <= MAX_LABEL_CHARACTERS
    ]
    return tuple(sorted(text for _, text in sorted(usable)[:MAX_LABELS]))
