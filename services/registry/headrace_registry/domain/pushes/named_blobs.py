"""Follows which blobs versions name: of each new catalog it reads the models that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

from headrace import errors
from headrace.state.catalog import Catalog


class NamedBlobs:
    """Counts the files of versions that have each digest."""

    def __init__(self) -> None:
        self._catalog = Catalog()
        self._files: Counter[str] = Counter()

    def of(self, catalog: Catalog) -> Container[str]:
        """The digests that a catalog's versions name, true until the next call. Raises DataLoss."""
        try:
            for model in catalog.versions_differing(self._catalog):
                self._count(model, catalog)
        except errors.DataLoss:  # half of it is counted
            self._catalog, self._files = Catalog(), Counter()
            raise
        self._catalog = catalog
        return self._files.keys()

    def _count(self, model: str, catalog: Catalog) -> None:
        self._files.update(_digests(catalog, model))
        for digest in _digests(self._catalog, model):
            self._files[digest] -= 1
            if not self._files[digest]:
                del self._files[digest]


def _digests(catalog: Catalog, model: str) -> list[str]:
    return [file.sha256 for artifact in catalog.artifacts(model) for file in artifact.files]
