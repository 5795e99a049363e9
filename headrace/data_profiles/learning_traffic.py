"""Makes references of counted traffic: edges are among those of its bins, so counts stay exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from headrace.data_profiles.float_bits import BIN_COUNT, FIRST, upper_edges
from headrace.data_profiles.layouts import BinKind, Bins, FieldLayout, Layout
from headrace.data_profiles.learnt_schemas import learn_schemas
from headrace.data_profiles.profiles import AspectKey, Counts, Profile
from headrace.data_profiles.quantile_edges import edges_among
from headrace.data_profiles.reference_digests import with_digest
from headrace.data_profiles.references import Reference, Source


def reference_of_traffic(
    layout: Layout, profile: Profile, *, origin: str = "", created_at: float = 0.0
) -> Reference:
    """The reference of rows that were counted in bins by the floats' bits, with its digest.

    Bins by labels or by edges, as a version has that has a reference already, stay as they are. Aspects
    that were not counted are left out, and so are fields without any. Raises ValueError where no rows were.
    """
    if not profile.rows:
        raise ValueError("traffic without rows says nothing")
    counts: dict[AspectKey, Counts] = {}
    fields = []
    for field in layout.fields:
        made, counted = _coarser(field, profile)
        if made.aspects:
            fields.append(made)
            counts.update(counted)
    of_all = Profile("", profile.rows, profile.seen_rows, counts)
    schema = learn_schemas(tuple(fields), of_all)
    return with_digest(
        Reference(Source.TRAFFIC, Layout(tuple(fields)), of_all, schema, created_at, origin)
    )


def _coarser(
    field: FieldLayout, profile: Profile
) -> tuple[FieldLayout, Mapping[AspectKey, Counts]]:
    aspects: dict[str, Bins] = {}
    counts: dict[AspectKey, Counts] = {}
    for aspect, bins in field.aspects.items():
        key = AspectKey(field.name, aspect)
        if key in profile.counts:
            aspects[aspect], counts[key] = _aspect(bins, profile.counts[key])
    return replace(field, aspects=aspects), counts


def _aspect(bins: Bins, counts: Counts) -> tuple[Bins, Counts]:
    if bins.kind is not BinKind.FLOAT_BITS or not counts[FIRST:].any():
        return bins, counts
    numbers = np.zeros(BIN_COUNT - FIRST, np.int64)
    numbers[: len(counts) - FIRST] = counts[FIRST:]
    uppers = upper_edges()
    edges = edges_among(uppers, numbers)
    cumulative = np.cumsum(numbers)[np.searchsorted(uppers, edges)]
    outside = np.array([cumulative[0], numbers.sum() - cumulative[-1]])
    parts = (counts[:FIRST], outside[:1], np.diff(cumulative), outside[1:])
    return Bins(BinKind.EDGES, edges=edges), np.concatenate(parts).astype(np.int64)
