"""Learns schemas of what a sample holds: ranges with a margin, categories, the share that is missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headrace.data_profiles.layouts import VALUE, BinKind, Bins, FieldKind, FieldLayout
from headrace.data_profiles.profiles import AspectKey, Counts, Profile
from headrace.data_profiles.references import FieldSchema

MARGIN = 0.1
"""A range reaches this share of the sample's spread beyond it on either side, but not across zero."""
_MISSING, _FIRST = 0, 2
_ONE_VALUE = 1e-9
"""Edges that are nearer to each other than this share of them have one value between them."""
_RANGED = (FieldKind.NUMBER, FieldKind.LENGTH)


def learn_schema(field: FieldLayout, profile: Profile) -> FieldSchema | None:
    """What may be expected of a field whose values the profile counts; None where nothing is known of it.

    The range is that of the outermost edges with anything between them, so a profile tells as much as the
    rows that it was made of.
    """
    aspect = VALUE if VALUE in field.aspects else next(iter(field.aspects), VALUE)
    bins, counts = field.aspects.get(aspect), profile.counts.get(AspectKey(field.name, aspect))
    if bins is None or counts is None or not profile.rows:
        return None
    missing = float(counts[_MISSING]) / profile.rows
    if bins.kind is BinKind.LABELS and aspect == VALUE:
        return FieldSchema(categories=bins.labels, missing_rate=missing)
    if field.kind not in _RANGED or bins.kind is not BinKind.EDGES:
        return FieldSchema(missing_rate=missing)
    span = _span(bins, counts)
    if span is None:
        return FieldSchema(missing_rate=missing)
    return FieldSchema(*_with_margin(*span), missing_rate=missing)


def learn_schemas(fields: tuple[FieldLayout, ...], profile: Profile) -> Mapping[str, FieldSchema]:
    """The schemas of all fields of which anything is known, by their names."""
    learnt = {field.name: learn_schema(field, profile) for field in fields}
    return {name: schema for name, schema in learnt.items() if schema is not None}


def _span(bins: Bins, counts: Counts) -> tuple[float, float] | None:
    """The outermost edges of the bins between edges that hold anything; None where none does."""
    between = np.flatnonzero(counts[_FIRST + 1 : -1])
    if not len(between):
        return None
    return bins.edges[int(between[0])], bins.edges[int(between[-1]) + 1]


def _with_margin(lowest: float, highest: float) -> tuple[float, float]:
    spread, size = highest - lowest, max(abs(lowest), abs(highest))
    margin = MARGIN * (size if spread <= _ONE_VALUE * size else spread)
    low, high = lowest - margin, highest + margin
    if lowest >= 0 > low:
        low = 0.0
    if highest <= 0 < high:
        high = 0.0
    return low, high
