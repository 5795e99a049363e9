"""Decides whether a version is served anywhere, so that a name may lead to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.desired import desired_of
from headrace.state.records import (
    LoadState,
    ReplicaRecord,
    ReplicaStage,
    ReplicaVersion,
    VersionRecord,
)

_SHOWN_REPLICAS = 10

STANDBY = "standby: the next request has it loaded"
"""Why a version is ready on a replica that has not loaded it."""

OTHER = "another version had this number: it is loaded anew"
"""Why a version is not ready on a replica that says it is."""


def check_served(
    version: VersionRecord, replicas: Iterable[ReplicaRecord], catalog: Catalog, *, allowed: bool
) -> None:
    """Pass if some replica serves the version and goes on doing so, or if none is there that could.

    Raises FailedPrecondition (VERSION_NOT_SERVED) that says where the version stands.
    """
    stay = [replica for replica in replicas if replica.stage is not ReplicaStage.LEAVING]
    states = [_state(replica, version) for replica in stay]
    if allowed or not states or any(state is LoadState.READY for _, state, _ in states):
        return
    if _is_asked_for(version, catalog):
        advice = "wait until one serves it, push a version that can be served, or insist with allow_unready"
    else:
        advice = (
            "replicas hold what a name leads to and the newest versions: give this one a new alias "
            "first, or insist with allow_unready"
        )
    raise errors.FailedPrecondition(
        "VERSION_NOT_SERVED",
        f"no replica serves version {version.number} of {version.model}: {_listed(states)}; {advice}",
        facts={"model": version.model, "version": str(version.number)},
    )


def is_held(version: VersionRecord, replicas: Iterable[ReplicaRecord], catalog: Catalog) -> bool:
    """Return whether replicas have a version, or are going to without any name for it."""
    known = (_state(replica, version)[1] is not None for replica in replicas)
    return _is_asked_for(version, catalog) or any(known)


def _is_asked_for(version: VersionRecord, catalog: Catalog) -> bool:
    return (version.model, version.number) in desired_of(catalog, version.model)


def with_standby(replica: ReplicaRecord, catalog: Catalog, model: str) -> ReplicaRecord:
    """The replica with what it has of a model, and what it loads of that when a request asks for it."""
    if not replica.loads_on_request:
        return replica
    held = {(version.model, version.number) for version in replica.versions}
    standing_by = tuple(
        ReplicaVersion(*key, LoadState.READY, STANDBY)
        for key in sorted(desired_of(catalog, model).keys() - held)
        if catalog.versions[key].revision <= replica.applied_revision
    )
    return replace(replica, versions=replica.versions + standing_by)


def without_others(replica: ReplicaRecord, catalog: Catalog) -> ReplicaRecord:
    """The replica, on which no other version stands for one of the catalog.

    One that has not heard yet that a state was lost has what had the numbers before.
    """
    return replace(replica, versions=tuple(_named(each, catalog) for each in replica.versions))


def _named(held: ReplicaVersion, catalog: Catalog) -> ReplicaVersion:
    version = catalog.versions.get((held.model, held.number))
    if version is None or version.digest.startswith(held.digest):
        return held
    return ReplicaVersion(held.model, held.number, LoadState.LOADING, OTHER)


def _state(replica: ReplicaRecord, version: VersionRecord) -> tuple[str, LoadState | None, str]:
    for each in replica.versions:
        if (each.model, each.number) == (version.model, version.number):
            return replica.id, each.state, each.reason
    return replica.id, None, ""


def _listed(states: list[tuple[str, LoadState | None, str]]) -> str:
    return "; ".join((*_shown(states[:_SHOWN_REPLICAS]), *_more(states)))


def _shown(states: Iterable[tuple[str, LoadState | None, str]]) -> Iterator[str]:
    for replica, state, reason in states:
        said = "does not hold it" if state is None else state.value
        yield f"{replica}: {said}" + (f" ({reason})" if reason else "")


def _more(states: list[tuple[str, LoadState | None, str]]) -> Iterator[str]:
    if len(states) > _SHOWN_REPLICAS:
        yield f"{len(states) - _SHOWN_REPLICAS} more replicas"
