"""Follows of which models the blobs are: of each new catalog it reads the models that changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from headrace import errors
from headrace.resource_names import model_of
from headrace.state.catalog import Catalog
from headrace_registry.domain.belongings import COLLECTIONS, files_of_belongings

_AT_ONCE = 64
"""Models that are read before others get their turn on the loop."""


class BlobModels:
    """The models with a version that has a blob, or something that belongs to one, by its digest.

    It is filled when it is first asked, which nobody does who may read all models: 0.8 kB a version.
    """

    def __init__(self) -> None:
        self._catalog = Catalog()
        self._digests: dict[str, frozenset[str]] = {}
        self._models: defaultdict[str, set[str]] = defaultdict(set)
        self._reading = asyncio.Lock()

    async def is_of(self, digest: str, catalog: Catalog, wanted: Callable[[str], bool]) -> bool:
        """Return whether a blob is of a model that is wanted."""
        async with self._reading:
            await self._read(catalog)
            return any(map(wanted, self._models.get(digest, ())))

    async def _read(self, catalog: Catalog) -> None:
        changed = catalog.versions_differing(self._catalog)
        for collection in COLLECTIONS:
            changed.update(map(model_of, catalog.differing(collection, self._catalog)))
        for count, model in enumerate(changed):
            self._replace(model, _digests(catalog, model))
            if count % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        self._catalog = catalog

    def _replace(self, model: str, digests: frozenset[str]) -> None:
        for digest in self._digests.pop(model, frozenset()):
            self._models[digest].discard(model)
            if not self._models[digest]:
                del self._models[digest]
        for digest in digests:
            self._models[digest].add(model)
        if digests:
            self._digests[model] = digests


def _digests(catalog: Catalog, model: str) -> frozenset[str]:
    try:
        files = [file.sha256 for artifact in catalog.artifacts(model) for file in artifact.files]
    except errors.DataLoss:  # records that cannot be read give nobody a right
        return frozenset()
    belonging = files_of_belongings(catalog, model, catalog.numbers_of(model))
    return frozenset([*files, *(file.sha256 for file in belonging)])
