"""Changes as their log keeps them: any number of resources of any collection, in one entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import lru_cache
from typing import Any, cast

from msgspec import Raw

from headrace.state.codec import decode, encode_sparse
from headrace.state.differences import ModelDifference
from headrace.state.record_collections import COLLECTIONS, MODELS, VERSIONS, Collection
from headrace.state.records import ModelRecord, VersionRecord

EPOCH_BEGINS = "epoch.begin"
"""The kind of an epoch's first change where the state had another one before: it changes no record."""


@dataclass(frozen=True, slots=True)
class ChangedResource:
    """A resource that a change touched, and what was done to it: `alias.update`, `models/m/aliases/a`."""

    kind: str
    resource: str


@dataclass(frozen=True, slots=True)
class Origin:
    """How it is known who made a change, where the call came from, and why it was made."""

    proof: str = ""
    """`api-key:ID`, `jwt:ISSUER`, `certificate:NAME`, `none` for an actor that is only a claim, `local` for
    what the registry did by itself; '' in logs of before this was kept."""
    peer: str = ""
    """The address of the call, as gRPC says it."""
    request_id: str = ""
    reason: str = ""
    """What the caller gave as its reason."""
    claim: str = ""
    """What the caller called itself, where another name was proved."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the `changes` stream: what became of which records, by whom, and what was before.

    `records` hold, by the names of collections and their keys, what was set, None where a record was
    deleted; `before` has what that was, `null` where the record is new. `previous_hash` is the SHA-256 of
    the entry before this one, so that none can be altered in silence.
    """

    revision: int
    kind: str
    resource: str
    actor: str
    at: float
    previous_hash: str
    records: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    before: Mapping[str, Mapping[str, Raw]] = field(default_factory=dict)
    """Not decoded: a model may be deleted with a thousand versions, of which followers need the numbers."""
    further: tuple[ChangedResource, ...] = ()
    """What else was done in the same change, where it touched more than one resource."""
    origin: Origin = Origin()

    @property
    def resources(self) -> tuple[ChangedResource, ...]:
        """All that was done."""
        return (ChangedResource(self.kind, self.resource), *self.further)

    @property
    def models(self) -> Mapping[str, ModelDifference | None]:
        """What it says of models."""
        return cast("Mapping[str, ModelDifference | None]", self.records.get(MODELS.name, {}))

    @property
    def versions(self) -> Mapping[str, VersionRecord | None]:
        """What it says of versions."""
        return cast("Mapping[str, VersionRecord | None]", self.records.get(VERSIONS.name, {}))

    def model(self, name: str) -> ModelRecord:
        """A model that was changed, as far as the change says it.

        A change of the model itself says all but its aliases and its route.
        """
        difference = self.models[name]
        assert difference is not None, "deleted"
        model = difference.applied(ModelRecord(name, 0.0))
        assert model is not None
        return model


def encode_change(change: Change) -> bytes:
    """The entry of a change: a field for each collection that it touches, and one for what was before."""
    held: dict[str, object] = {name: getattr(change, name) for name in _HEAD}
    for name, records in change.records.items():
        held |= {name: records, _before(name): change.before.get(name, {})}
    return encode_sparse(_entry_type(COLLECTIONS.all)(**held))


def decode_change(data: bytes) -> Change:
    """The change of an entry. Collections that are not known here are passed over.

    Raises DataLoss (STATE_UNREADABLE).
    """
    entry: Any = decode(_entry_type(COLLECTIONS.all), data)
    records, before = {}, {}
    for collection in COLLECTIONS.all:
        if touched := getattr(entry, collection.name):
            records[collection.name] = touched
        if touched := getattr(entry, _before(collection.name)):
            before[collection.name] = touched
    return Change(
        entry.revision,
        entry.kind,
        entry.resource,
        entry.actor,
        entry.at,
        entry.previous_hash,
        records,
        before,
        entry.further,
        entry.origin,
    )


_HEAD = ("revision", "kind", "resource", "actor", "at", "previous_hash", "further", "origin")


def _before(name: str) -> str:
    return f"{name}_before"


@lru_cache(maxsize=8)
def _entry_type(collections: tuple[Collection[Any], ...]) -> type:
    """What an entry of a log of these collections looks like."""
    head: list[Any] = [(name, str) for name in ("kind", "resource", "actor")]
    head += [("revision", int), ("at", float), ("previous_hash", str)]
    further: list[Any] = [
        ("further", tuple[ChangedResource, ...], ()),
        ("origin", Origin, Origin()),
    ]
    records = [(each.name, _logged(each), _nothing()) for each in collections]
    before = [(_before(each.name), Mapping[str, Raw], _nothing()) for each in collections]
    return make_dataclass("Change", [*head, *further, *records, *before], frozen=True, slots=True)


def _logged(collection: Collection[Any]) -> Any:
    logged: Any = collection.logged_type
    return Mapping[str, logged | None]


def _nothing() -> Any:
    return field(default_factory=dict)
