"""Follows which blobs versions and references name: of each new catalog it reads what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.record_collections import REFERENCES


class NamedBlobs:
    """Counts the files of versions, and the references, that have each digest."""

    def __init__(self) -> None:
        self._catalog = Catalog()
        self._files: Counter[str] = Counter()

    def of(self, catalog: Catalog) -> Container[str]:
        """The digests that a catalog names, true until the next call. Raises DataLoss."""
        try:
            self._count_references(catalog)
            for model in catalog.versions_differing(self._catalog):
                self._count(model, catalog)
        except errors.DataLoss:  # half of it is counted
            self._catalog, self._files = Catalog(), Counter()
            raise
        self._catalog = catalog
        return self._files.keys()

    def _count_references(self, catalog: Catalog) -> None:
        for name in catalog.differing(REFERENCES, self._catalog):
            new, old = (each.of(REFERENCES).get(name) for each in (catalog, self._catalog))
            self._files.update([new.sha256] if new else [])
            self._take_away([old.sha256] if old else [])

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
