"""Puts changes of the registry into a catalog: each gives another snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headrace.client.resources import After, Alias, Change, Model, Route, StoredRecord, Version
from headrace.resource_names import model_of
from headrace.state.language_records import VersionKind
from headrace_monitor.domain.catalog.catalog import CatalogModel, Snapshot

MAX_MODELS = 10_000
MAX_VERSIONS = 50
"""The versions of a model that are kept: its newest, and those that its route and aliases name."""

Models = dict[str, CatalogModel]


def changed(snapshot: Snapshot, change: Change) -> Snapshot:
    """The catalog after a change; one that was there already changes nothing."""
    models: Models = dict(snapshot.models)
    _put(models, change.kind, change.resource, change.after)
    for each in change.further:
        _put(models, each.kind, each.resource, each.after)
    return replace(
        snapshot,
        models=models,
        revision=change.revision,
        is_complete=snapshot.is_complete and len(models) < MAX_MODELS,
    )


def _put(models: Models, kind: str, resource: str, after: After) -> None:
    name = model_of(resource)
    known = models.get(name)
    if kind == "model.delete":
        models.pop(name, None)
    elif isinstance(after, Model):
        if known is not None:
            models[name] = replace(known, model=replace(after, kind=_kind_of(known)))
        elif len(models) < MAX_MODELS:
            models[name] = CatalogModel(after)
    elif known is not None:
        models[name] = _with_part(known, kind, resource, after)


def _with_part(known: CatalogModel, kind: str, resource: str, after: After) -> CatalogModel:
    part = resource.rpartition("/")[2]
    match after:
        case Version():
            newest = max(known.model.last_version, after.number)
            model = replace(known.model, last_version=newest)
            versions = {**known.versions, after.number: after}
            return _trimmed(replace(known, model=model, versions=versions))
        case Alias():
            return replace(known, aliases={**known.aliases, after.name: after})
        case Route():
            moved = replace(known, route=after)
            return replace(moved, model=replace(moved.model, kind=_kind_of(moved)))
        case StoredRecord(collection="annotations"):
            return _described(known, after.fields)
        case _ if kind == "version.delete":
            return replace(known, versions=_without(known.versions, part))
        case _ if kind == "alias.delete":
            aliases = {name: alias for name, alias in known.aliases.items() if name != part}
            return replace(known, aliases=aliases)
    return known


def _described(known: CatalogModel, said: Mapping[str, object]) -> CatalogModel:
    """The model with what is said of a version as its description.

    Where none is said, the version's own is shown again from the next listing on.
    """
    number, text = said.get("number"), said.get("description")
    version = known.versions.get(number) if isinstance(number, int) else None
    if version is None or not isinstance(text, str) or not text:
        return known
    shown = replace(version, description=text)
    return replace(known, versions={**known.versions, version.number: shown})


def _without(versions: Mapping[int, Version], number: str) -> Mapping[int, Version]:
    return {key: version for key, version in versions.items() if str(key) != number}


def _kind_of(known: CatalogModel) -> VersionKind | None:
    version = known.versions.get(known.route.stable) if known.route else None
    return version.kind if version is not None else known.model.kind


def _trimmed(known: CatalogModel) -> CatalogModel:
    """The newest first, and only as many as are kept."""
    numbers = sorted(known.versions, reverse=True)
    named = {alias.version for alias in known.aliases.values()}
    if known.route is not None:
        named |= {known.route.stable, known.route.previous or 0}
        canaries = (known.route.canary, *known.route.more_canaries)
        named |= {one.version for one in canaries if one is not None}
    kept = [
        number for place, number in enumerate(numbers) if place < MAX_VERSIONS or number in named
    ]
    left_out = known.left_out + len(numbers) - len(kept)
    return replace(
        known, versions={number: known.versions[number] for number in kept}, left_out=left_out
    )


def assembled(
    model: Model, versions: list[Version], aliases: list[Alias], route: Route | None, left_out: int
) -> CatalogModel:
    """A model of what the registry lists."""
    return _trimmed(
        CatalogModel(
            model,
            {version.number: version for version in versions},
            {alias.name: alias for alias in aliases},
            route,
            left_out,
        )
    )
