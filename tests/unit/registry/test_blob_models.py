"""Of which models blobs are, as catalogs follow one another."""

from __future__ import annotations

import asyncio

from hypothesis import given

from headrace.state.catalog import Catalog
from headrace.state.record_collections import REFERENCES
from headrace.state.records import VersionRecord
from headrace.state.version_map import VersionMap
from headrace_registry.domain.blob_models import BlobModels
from tests.unit.registry.blob_steps import BLOBS, MODELS, STEPS, version_with, with_references


@given(steps=STEPS)
def test_blobs_are_of_the_models_whose_versions_have_them(
    steps: list[tuple[str, int, list[str] | None]],
) -> None:
    """A blob that models share is of each until its last version that has it goes."""

    async def follow() -> None:
        catalog, blob_models = Catalog(), BlobModels()
        for model, number, blobs in steps:
            pushed = None if blobs is None else version_with(model, number, blobs)
            catalog = catalog.updated(catalog.revision + 1, {}, {(model, number): pushed})
            expected = {
                (file.sha256, one.model) for one in catalog.versions.values() for file in one.files
            }
            found = {
                (blob, model)
                for blob in BLOBS
                for model in MODELS
                if await blob_models.is_of(blob, catalog, model.__eq__)
            }
            assert expected == found

    asyncio.run(follow())


@given(steps=STEPS)
def test_blobs_are_of_the_models_whose_references_they_are(
    steps: list[tuple[str, int, list[str] | None]],
) -> None:
    """Whoever may read a model may read how its data looked."""

    async def follow() -> None:
        catalog, blob_models = Catalog(), BlobModels()
        for model, number, blobs in steps:
            catalog = with_references(catalog, model, number, blobs)
            expected = {(each.sha256, each.model) for each in catalog.of(REFERENCES).values()} | {
                (file.sha256, one.model) for one in catalog.versions.values() for file in one.files
            }
            found = {
                (blob, model)
                for blob in BLOBS
                for model in MODELS
                if await blob_models.is_of(blob, catalog, model.__eq__)
            }
            assert expected == found

    asyncio.run(follow())


async def test_records_that_cannot_be_read_give_nobody_a_right() -> None:
    """Nor do they keep others from theirs."""
    unreadable: VersionMap[VersionRecord] = VersionMap(
        VersionRecord, [(("m", 1), b"{"), (("n", 1), version_with("n", 1, ["a"]))]
    )
    blob_models = BlobModels()
    catalog = Catalog(versions=unreadable)
    assert not await blob_models.is_of("a", catalog, "m".__eq__)
    assert await blob_models.is_of("a", catalog, "n".__eq__)
