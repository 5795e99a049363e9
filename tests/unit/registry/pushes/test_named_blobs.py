"""Which blobs are named by versions, as catalogs follow one another."""

from __future__ import annotations

import pytest
from hypothesis import given

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.codec import encode
from headrace.state.record_collections import REFERENCES
from headrace.state.records import VersionRecord
from headrace.state.version_map import VersionMap
from headrace_registry.domain.pushes.named_blobs import NamedBlobs
from tests.unit.registry.blob_steps import BLOBS, STEPS, version_with, with_references


@given(steps=STEPS)
def test_what_versions_name_follows_the_changes(
    steps: list[tuple[str, int, list[str] | None]],
) -> None:
    """Blobs that several files share stay named until the last goes."""
    catalog, named = Catalog(), NamedBlobs()
    for model, number, blobs in steps:
        pushed = None if blobs is None else version_with(model, number, blobs)
        catalog = catalog.updated(catalog.revision + 1, {}, {(model, number): pushed})
        expected = {file.sha256 for one in catalog.versions.values() for file in one.files}
        found = named.of(catalog)
        assert expected == {blob for blob in BLOBS if blob in found}


@given(steps=STEPS)
def test_what_references_name_follows_the_changes(
    steps: list[tuple[str, int, list[str] | None]],
) -> None:
    """A blob that versions share, or their references, stays named until the last goes."""
    catalog, named = Catalog(), NamedBlobs()
    for model, number, blobs in steps:
        catalog = with_references(catalog, model, number, blobs)
        expected = {each.sha256 for each in catalog.of(REFERENCES).values()} | {
            file.sha256 for one in catalog.versions.values() for file in one.files
        }
        found = named.of(catalog)
        assert expected == {blob for blob in BLOBS if blob in found}


def test_nothing_is_said_of_records_that_cannot_be_read() -> None:
    """And what is read after that is counted once."""
    named = NamedBlobs()
    whole = Catalog(1, {}, {("m", 1): version_with("m", 1, ["a"])})
    damaged = VersionMap(
        VersionRecord, [(("m", 1), encode(version_with("m", 1, ["a"]))), (("n", 1), b"{}")]
    )
    named.of(whole)
    with pytest.raises(errors.DataLoss):
        named.of(Catalog(2, {}, damaged))
    named.of(whole)
    assert "a" not in named.of(Catalog(3))
