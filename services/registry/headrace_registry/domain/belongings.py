"""The records that belong to versions, references and annotations, and their files: they go with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headrace.resource_names import annotations_resource, reference_resource
from headrace.state.catalog import Catalog
from headrace.state.record_collections import ANNOTATIONS, REFERENCES, Collection
from headrace.state.records import ArtifactFile

_NAMES = {REFERENCES.name: reference_resource, ANNOTATIONS.name: annotations_resource}
COLLECTIONS: tuple[Collection[Any], ...] = (REFERENCES, ANNOTATIONS)
"""Those whose records belong to versions."""


def without_belongings(
    catalog: Catalog, model: str, numbers: Iterable[int]
) -> Mapping[str, Mapping[str, object]]:
    """The end of what belongs to versions that go; nothing where they have none of it."""
    numbers = list(numbers)
    gone = {
        each.name: {name: None for name in _names(each, model, numbers) if name in catalog.of(each)}
        for each in COLLECTIONS
    }
    return {name: records for name, records in gone.items() if records}


def files_of_belongings(
    catalog: Catalog, model: str, numbers: Iterable[int]
) -> Iterator[ArtifactFile]:
    """The files of what belongs to versions, beside those of their artifacts."""
    numbers = list(numbers)
    for collection in COLLECTIONS:
        for name in _names(collection, model, numbers):
            yield from belonging_files(collection, catalog.of(collection).get(name))


def belonging_files(collection: Collection[Any], record: Any) -> tuple[ArtifactFile, ...]:
    """The files of one such record; none where there is no record."""
    if record is None:
        return ()
    return (
        (record.file,)
        if collection is REFERENCES
        else tuple(each.file for each in record.attachments)
    )


def _names(collection: Collection[Any], model: str, numbers: Iterable[int]) -> Iterator[str]:
    return (_NAMES[collection.name](model, number) for number in numbers)
