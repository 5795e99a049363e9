"""A decision: the records as they are to be, and the change for the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from msgspec import Raw

from headrace.state.changes import Change, ChangedResource, Origin
from headrace.state.codec import encode_sparse
from headrace.state.record_collections import COLLECTIONS, MODELS, VERSIONS, Collection
from headrace.state.records import ModelRecord, VersionRecord

Records = Mapping[str, Mapping[str, object]]
"""Records by the names of their collections and their keys; None where there is none."""

_NULL = Raw(b"null")


@dataclass(frozen=True, slots=True)
class Decision:
    """Records as they are to be, None where deleted; `before` is what they are, None where new."""

    revision: int
    kind: str
    resource: str
    actor: str
    at: float
    records: Records = field(default_factory=dict)
    before: Records = field(default_factory=dict)
    """The records, or what is stored of them as Raw where nobody needs to know more."""
    further: tuple[ChangedResource, ...] = ()
    """What else is done in the same change, where it touches more than one resource."""
    origin: Origin = Origin()

    @property
    def models(self) -> Mapping[str, ModelRecord | None]:
        """The models as they are to be."""
        return cast("Mapping[str, ModelRecord | None]", self.records.get(MODELS.name, {}))

    @property
    def versions(self) -> Mapping[str, VersionRecord | None]:
        """The versions as they are to be."""
        return cast("Mapping[str, VersionRecord | None]", self.records.get(VERSIONS.name, {}))

    def change(self, previous_hash: str) -> Change:
        """The change that the log keeps: of each record what its collection says."""
        collections = [each for each in COLLECTIONS if each.name in self.records]
        return Change(
            revision=self.revision,
            kind=self.kind,
            resource=self.resource,
            actor=self.actor,
            at=self.at,
            previous_hash=previous_hash,
            records={each.name: self._after(each) for each in collections},
            before={each.name: self._before(each) for each in collections},
            further=self.further,
            origin=self.origin,
        )

    def _after(self, collection: Collection[Any]) -> Mapping[str, object]:
        before = self.before.get(collection.name, {})
        kinds = (self.kind, *(each.kind for each in self.further))
        own = any(kind.startswith(f"{collection.noun}.") for kind in kinds)
        return {
            key: None if one is None else collection.logged(one, before.get(key), own=own)
            for key, one in self.records[collection.name].items()
        }

    def _before(self, collection: Collection[Any]) -> Mapping[str, Raw]:
        after = self.records[collection.name]
        return {
            key: _raw(collection, one, after.get(key))
            for key, one in self.before.get(collection.name, {}).items()
        }


def _raw(collection: Collection[Any], before: object, after: object) -> Raw:
    if before is None:
        return _NULL
    if isinstance(before, Raw):
        return before
    return Raw(encode_sparse(collection.logged(before, after)))
