"""Chooses the replica that is asked for somebody who tries a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from headrace import errors
from headrace.state.records import LoadState, ReplicaRecord, ReplicaStage
from headrace_monitor.domain.catalog.catalog import CatalogModel, Snapshot

Item = TypeVar("Item")
Choose = Callable[[Sequence[ReplicaRecord]], ReplicaRecord]


def entry_of(snapshot: Snapshot, name: str) -> CatalogModel:
    """A model of the catalog. Raises NotFound (MODEL_NOT_FOUND)."""
    found = snapshot.models.get(name)
    if found is None:
        raise errors.NotFound("MODEL_NOT_FOUND", f"there is no model {name!r:.200}")
    return found


def replica_for(
    snapshot: Snapshot, entry: CatalogModel, version: str, choose: Choose
) -> ReplicaRecord:
    """A replica that serves a version (a number, an alias, or '': what the route leads to).

    Raises NotFound for an alias that is not there, Unavailable (VERSION_NOT_READY) where none serves it.
    """
    number = number_of(entry, version)
    if found := serving(snapshot, entry, number):
        return choose(found)
    wanted = f"version {number} of {entry.model.name}" if number else entry.model.name
    raise errors.Unavailable(
        "VERSION_NOT_READY",
        f"no replica serves {wanted}: `headrace status {entry.model.name}` says where it stands",
        retry_after_seconds=1.0,
    )


def serving(snapshot: Snapshot, entry: CatalogModel, number: int) -> list[ReplicaRecord]:
    """The replicas that serve a version (0: any), or load it when it is asked for."""
    there = [one for one in snapshot.replicas.records if one.stage is ReplicaStage.READY]
    return [one for one in there if one.loads_on_request or _serves(one, entry, number)]


def number_of(entry: CatalogModel, version: str) -> int:
    """The number of a version; 0 where the route has none yet. Raises NotFound (ALIAS_NOT_FOUND)."""
    if version.isascii() and version.isdigit():
        return int(version[:20])
    if version and version not in entry.aliases:
        raise errors.NotFound(
            "ALIAS_NOT_FOUND", f"{entry.model.name} has no alias {version!r:.100}"
        )
    if version:
        return entry.aliases[version].version
    return entry.route.stable if entry.route else 0


def _serves(replica: ReplicaRecord, entry: CatalogModel, number: int) -> bool:
    return any(
        each.model == entry.model.name
        and each.state is LoadState.READY
        and number in (0, each.number)
        for each in replica.versions
    )
