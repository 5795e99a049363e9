"""Versions that come and go with the blobs that they have, for tests of what follows catalogs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from headrace.resource_names import reference_resource
from headrace.state.catalog import Catalog
from headrace.state.record_collections import REFERENCES
from headrace.state.records import ArtifactFile, VersionRecord
from headrace.state.reference_records import ReferenceRecord
from tests.unit.inference.doubles import version

BLOBS, MODELS = "abcd", ("m", "n")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(MODELS),
        st.integers(1, 3),
        st.one_of(st.none(), st.lists(st.sampled_from(BLOBS), max_size=3)),
    ),
    max_size=8,
)
"""A model, a number, and the blobs of that version from now on; None: it goes."""


def version_with(model: str, number: int, blobs: list[str]) -> VersionRecord:
    """A version with these blobs."""
    files = tuple(ArtifactFile(f"f{at}", 1, blob) for at, blob in enumerate(blobs))
    return replace(version(number, model), files=files)


def with_references(
    catalog: Catalog, model: str, number: int, blobs: Sequence[str] | None
) -> Catalog:
    """The catalog after a version is pushed with all of these blobs but the first, which is its reference.

    Without blobs both go.
    """
    name = reference_resource(model, number)
    record = ReferenceRecord(model, number, blobs[0], 1) if blobs else None
    pushed = None if blobs is None else version_with(model, number, list(blobs[1:]))
    return catalog.updated(
        catalog.revision + 1,
        {},
        {(model, number): pushed},
        {REFERENCES.name: {name: record}},
    )
