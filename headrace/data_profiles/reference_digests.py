"""Digests of references: equal for equal bins and counts, whenever and of whatever they were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

from headrace.data_profiles.layouts import FieldLayout
from headrace.data_profiles.references import Reference


def digest_of(reference: Reference) -> str:
    """SHA-256 over the fields, their bins and the counts in them, in hex."""
    checksum = hashlib.sha256()
    for line in _lines(reference):
        checksum.update(json.dumps(line, separators=(",", ":"), ensure_ascii=True).encode() + b"\n")
    return checksum.hexdigest()


def with_digest(reference: Reference) -> Reference:
    """The reference, named by its digest wherever profiles say whose bins they count in."""
    digest = digest_of(reference)
    return replace(
        reference,
        layout=replace(reference.layout, reference=digest),
        profile=replace(reference.profile, reference=digest),
    )


def _lines(reference: Reference) -> Iterator[object]:
    yield ["headrace reference 1", reference.profile.rows]
    for field in reference.layout.fields:
        yield _field(field)
    for key in sorted(reference.profile.counts):
        yield [*key, reference.profile.counts[key].tolist()]


def _field(field: FieldLayout) -> object:
    aspects = [
        [name, bins.kind.value, [edge.hex() for edge in bins.edges], list(bins.labels)]
        for name, bins in sorted(field.aspects.items())
    ]
    return [field.name, field.place.value, field.kind.value, field.tensor, field.column, aspects]
