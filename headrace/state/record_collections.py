"""The collections of records that the shared state has: one line in a table for each.

A collection is a hash in Redis, a field of the entries in the log, and a mapping in the catalog. The script
that makes changes, the log, snapshots, followers and watches go by the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from headrace.state.access_records import ApiKeyRecord, BindingRecord, RoleRecord
from headrace.state.annotation_records import AnnotationRecord
from headrace.state.differences import ModelDifference, difference
from headrace.state.records import ModelRecord, VersionRecord
from headrace.state.reference_records import ReferenceRecord

Record = TypeVar("Record")
Recorded = TypeVar("Recorded", contravariant=True)  # noqa: PLC0105  # records are only taken

_NAME = re.compile(r"[a-z][a-z_]*")


class Between(Protocol[Recorded]):
    """Tells what a record has that another has not; `own`: also what it is itself."""

    def __call__(self, record: Recorded, other: Recorded | None, /, *, own: bool = False) -> object:
        """The difference."""


@dataclass(frozen=True, slots=True)
class Differences(Generic[Record]):
    """How the log holds records of which a change leaves most alone."""

    type: type
    between: Between[Record]
    apply: Callable[[Any, Record | None], Record | None]
    """The record after a difference; None where the record that it needs is not there."""


@dataclass(frozen=True, slots=True, eq=False)
class Collection(Generic[Record]):
    """Records of one type by their keys, which are resource names where nothing else is said.

    `noun` begins the kinds of changes of its resources, such as `model.create`. Without `differences`
    the log holds each record whole.
    """

    name: str
    noun: str
    record_type: type[Record]
    differences: Differences[Record] | None = None

    def __post_init__(self) -> None:
        """Refuse what would break the script."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a valid name of a collection: use a-z and '_'")

    @property
    def logged_type(self) -> type:
        """What an entry of the log holds of a record that was set."""
        return self.record_type if self.differences is None else self.differences.type

    def logged(self, record: Record, other: Record | None, *, own: bool = False) -> object:
        """What an entry holds of a record, beside another: the one before it, or after it."""
        if self.differences is None:
            return record
        return self.differences.between(record, other, own=own)


MODELS = Collection(
    "models",
    "model",
    ModelRecord,
    Differences(ModelDifference, difference, ModelDifference.applied),
)
"""By the models' names. A change moves one of a thousand aliases, so the log holds differences."""
VERSIONS = Collection("versions", "version", VersionRecord)
"""By `model/number`."""


class Collections:
    """The table. Those that are registered come behind models and versions, in their order."""

    def __init__(self) -> None:
        self._by_name: dict[str, Collection[Any]] = {}
        self.all: tuple[Collection[Any], ...] = ()
        """All of them, models and versions first."""
        self.register(MODELS)
        self.register(VERSIONS)

    def register(self, collection: Collection[Record]) -> Collection[Record]:
        """Add a collection. Raises ValueError where there is one of this name."""
        if collection.name in self._by_name:
            raise ValueError(f"there is a collection {collection.name!r} already")
        self._by_name[collection.name] = collection
        self.all = (*self.all, collection)
        return collection

    def remove(self, name: str) -> None:
        """Take a collection out. Raises KeyError."""
        del self._by_name[name]
        self.all = tuple(self._by_name.values())

    def __getitem__(self, name: str) -> Collection[Any]:
        """The collection of this name. Raises KeyError."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[Collection[Any]]:
        """All of them, models and versions first."""
        return iter(self.all)

    @property
    def further(self) -> tuple[Collection[Any], ...]:
        """All but models and versions."""
        return self.all[2:]

    def of_noun(self, noun: str) -> Collection[Any] | None:
        """The collection whose resources are called so, or None."""
        return next((each for each in self if each.noun == noun), None)


COLLECTIONS = Collections()
"""The collections that this code knows. A new one is registered here."""

API_KEYS = COLLECTIONS.register(Collection("api_keys", "key", ApiKeyRecord))
"""By `keys/{id}`."""
ROLES = COLLECTIONS.register(Collection("roles", "role", RoleRecord))
"""By `roles/{name}`."""
BINDINGS = COLLECTIONS.register(Collection("bindings", "binding", BindingRecord))
"""By `bindings/{subject}`."""
REFERENCES = COLLECTIONS.register(Collection("references", "reference", ReferenceRecord))
"""By `models/{model}/versions/{number}/reference`."""
ANNOTATIONS = COLLECTIONS.register(Collection("annotations", "annotations", AnnotationRecord))
"""By `models/{model}/versions/{number}/annotations`."""

ACCESS: tuple[Collection[Any], ...] = (API_KEYS, ROLES, BINDINGS)
"""Those that decide who may do what. Watchers of models are not told of them."""
