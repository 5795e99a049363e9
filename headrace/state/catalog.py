"""The catalog: every record of the shared state at one revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from msgspec import Raw

from headrace.state.codec import decode_part, encode_sparse, stored
from headrace.state.persistent_map import PersistentMap
from headrace.state.record_collections import Collection
from headrace.state.records import Artifact, ModelRecord, VersionRecord
from headrace.state.version_map import VersionMap

Record = TypeVar("Record")

_NO_RECORDS: PersistentMap[str, object] = PersistentMap()
_NONE: Mapping[str, Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True)
class Catalog:
    """The shared state at one revision: models by name, versions by (model, number), and further records.

    A catalog never changes. The one after a change shares with it whatever did not.
    """

    revision: int = 0
    models: Mapping[str, ModelRecord] = field(default_factory=dict)
    versions: Mapping[tuple[str, int], VersionRecord] = field(default_factory=dict)
    further: Mapping[str, PersistentMap[str, object]] = field(default_factory=dict)
    """Records of all other collections, by the collection's name and their keys."""
    known: bool = True
    """False before the state was read: then a name that is not in it may exist all the same."""
    unread_because: str = ""
    """Where it is not known: what kept the state from being read, as far as that was seen."""
    unread_denied: bool = False
    """Where it is not known: whether that is a right that this process does not have."""
    without: frozenset[str] = frozenset()
    """The further collections, by name, that its reader left out: it knows nothing of them."""

    def __post_init__(self) -> None:
        """Give plain mappings the form that later catalogs can share."""
        if not isinstance(self.models, PersistentMap):
            object.__setattr__(self, "models", PersistentMap(self.models))
        if not isinstance(self.versions, VersionMap):
            versions = VersionMap(VersionRecord, self.versions.items())
            object.__setattr__(self, "versions", versions)

    def model_names(self) -> list[str]:
        """The models' names in order, not to be changed."""
        return self._models.sorted_keys()

    def numbers_of(self, model: str) -> list[int]:
        """The numbers of a model's versions, oldest first."""
        return self._versions.numbers_of(model)

    def versions_of(self, model: str) -> list[VersionRecord]:
        """The versions of a model, oldest first."""
        return [self.versions[model, number] for number in self.numbers_of(model)]

    def stored(self, model: str, number: int) -> Raw | None:
        """A version as it is stored, or None. Raises DataLoss where that is no JSON."""
        if (model, number) not in self._versions:
            return None
        held = self._versions.held(model, number)
        return stored(held if isinstance(held, bytes) else encode_sparse(held))

    def of(self, collection: Collection[Record]) -> Mapping[str, Record]:
        """The records of a collection other than models and versions, by their keys.

        Raises LookupError for one that is left out.
        """
        if collection.name in self.without:
            raise LookupError(f"{collection.name} are left out of this catalog")
        return cast("Mapping[str, Record]", self.further.get(collection.name, {}))

    def orphans(self) -> Iterator[tuple[str, int]]:
        """The versions whose model is not there."""
        return self._versions.without_model(self._models)

    def artifacts(self, model: str = "") -> Iterator[Artifact]:
        """The artifacts of a model's versions, or of all, read without the rest of their records."""
        for name in [model] if model else self._versions.models:
            yield from map(_artifact, self._versions.held_of(name))

    def updated(
        self,
        revision: int,
        models: Mapping[str, ModelRecord | None],
        versions: Mapping[tuple[str, int], VersionRecord | None],
        further: Mapping[str, Mapping[str, object]] = _NONE,
    ) -> Catalog:
        """The catalog at a later revision, with these records; None takes one out."""
        return replace(
            self,
            revision=revision,
            models=self._models.updated(models),
            versions=self._versions.updated(versions),
            further={**self.further, **self._updated_further(further)} if further else self.further,
        )

    def _updated_further(
        self, changes: Mapping[str, Mapping[str, object]]
    ) -> dict[str, PersistentMap[str, object]]:
        empty: PersistentMap[str, object] = PersistentMap()
        return {
            name: self.further.get(name, empty).updated(records)
            for name, records in changes.items()
            if name not in self.without
        }

    def sharing(self, former: Catalog) -> Catalog:
        """The same catalog, with the records of a former one wherever they are equal.

        So `models_differing` tells what changed between two that were read independently.
        """
        models = _sharing(self._models, former._models)
        versions = self._versions.sharing(former._versions)
        further = {
            name: _sharing(records, former.further.get(name))
            for name, records in self.further.items()
        }
        return replace(self, models=models, versions=versions, further=further)

    def models_differing(self, former: Catalog) -> set[str]:
        """The names of models that are not the same in both catalogs, or whose versions are not."""
        models = self._models.differing(former._models)
        return {*models, *self.versions_differing(former)}

    def versions_differing(self, former: Catalog) -> set[str]:
        """The names of models whose versions are not the same in both catalogs."""
        return set(self._versions.models.differing(former._versions.models))

    def differing(self, collection: Collection[Record], former: Catalog) -> set[str]:
        """The keys of a further collection whose records are not the same in both catalogs."""
        ours = self.further.get(collection.name, _NO_RECORDS)
        return set(ours.differing(former.further.get(collection.name, _NO_RECORDS)))

    @property
    def _models(self) -> PersistentMap[str, ModelRecord]:
        return cast("PersistentMap[str, ModelRecord]", self.models)

    @property
    def _versions(self) -> VersionMap[VersionRecord]:
        return cast("VersionMap[VersionRecord]", self.versions)


def _sharing(
    ours: PersistentMap[str, Record], theirs: PersistentMap[str, Record] | None
) -> PersistentMap[str, Record]:
    """The same records, those of `theirs` wherever they are equal."""
    if theirs is None:
        return ours
    differing = (key for key in ours.differing(theirs) if ours.get(key) != theirs.get(key))
    changes = {key: ours.get(key) for key in differing}
    return theirs.updated(changes) if changes else theirs


def _artifact(held: VersionRecord | bytes) -> Artifact:
    if isinstance(held, bytes):
        return decode_part(Artifact, held)
    return Artifact(held.model, held.number, held.digest, held.files)


UNREAD = Catalog(known=False)
"""The catalog of a process that has not read the shared state yet."""
