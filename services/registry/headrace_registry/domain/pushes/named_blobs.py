"""Follows which blobs are named by versions and their belongings: it reads what changed of a catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from headrace import errors
from headrace.state.catalog import Catalog
from headrace_registry.domain.belongings import COLLECTIONS, belonging_files


class NamedBlobs:
    """Counts the files of versions, and of what belongs to them, that have each digest."""

    def __init__(self) -> None:
        self._catalog = Catalog()
        self._files: Counter[str] = Counter()

    def of(self, catalog: Catalog) -> Container[str]:
        """The digests that a catalog names, true until the next call. Raises DataLoss."""
        try:
            self._count_belongings(catalog)
            for model in catalog.versions_differing(self._catalog):
                self._count(model, catalog)
        except errors.DataLoss:  # half of it is counted
            self._catalog, self._files = Catalog(), Counter()
            raise
        self._catalog = catalog
        return self._files.keys()

    def _count_belongings(self, catalog: Catalog) -> None:
        for collection in COLLECTIONS:
            for name in catalog.differing(collection, self._catalog):
                new, old = (
                    [
                        file.sha256
                        for file in belonging_files(collection, each.of(collection).get(name))
                    ]
                    for each in (catalog, self._catalog)
                )
                self._files.update(new)
                self._take_away(old)

    def _count(self, model: str, catalog: Catalog) -> None:
        self._files.update(_digests(catalog, model))
        self._take_away(_digests(self._catalog, model))

    def _take_away(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self._files[digest] -= 1
            if not self._files[digest]:
                del self._files[digest]


def _digests(catalog: Catalog, model: str) -> list[str]:
    return [file.sha256 for artifact in catalog.artifacts(model) for file in artifact.files]
