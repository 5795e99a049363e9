"""Aliases: moving and deleting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headrace import errors
from headrace.resource_names import alias_resource
from headrace.state.catalog import Catalog
from headrace.state.record_collections import MODELS
from headrace.state.records import AliasRecord, ModelRecord, ReplicaRecord
from headrace_registry.domain.decisions.allowed import NOTHING_ALLOWED, Allowed
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.decisions.limits import check_room_for_alias
from headrace_registry.domain.decisions.readiness import check_served, is_held
from headrace_registry.domain.decisions.signature_changes import check_signature
from headrace_registry.domain.resources.models import find_model, with_alias
from headrace_registry.domain.resources.versions import find_version


@dataclass(frozen=True, slots=True)
class AliasMove:
    """Where an alias is to point; `allow_missing` creates it."""

    model: str
    alias: str
    version: int
    etag: str = ""
    allow_missing: bool = False
    allowed: Allowed = NOTHING_ALLOWED


@dataclass(frozen=True, slots=True)
class AliasRemoval:
    """An alias to delete."""

    model: str
    alias: str
    etag: str = ""


def find_alias(catalog: Catalog, model: str, alias: str) -> AliasRecord:
    """The alias. Raises NotFound (MODEL_NOT_FOUND, ALIAS_NOT_FOUND)."""
    record = find_model(catalog, model).aliases.get(alias)
    if record is None:
        raise errors.NotFound(
            "ALIAS_NOT_FOUND",
            f"model {model!r} has no alias {alias!r}: create it with allow_missing",
            facts={"model": model, "alias": alias},
        )
    return record


def move_alias(
    context: DecisionContext, move: AliasMove, replicas: Sequence[ReplicaRecord] = ()
) -> Decision:
    """Decide on an alias to move.

    Raises NotFound, Aborted, FailedPrecondition (SIGNATURE_CHANGED, VERSION_NOT_SERVED),
    ResourceExhausted (TOO_MANY_ALIASES).
    """
    model = find_model(context.catalog, move.model)
    present = model.aliases.get(move.alias)
    if present is None and not move.allow_missing:
        find_alias(context.catalog, move.model, move.alias)
    check_room_for_alias(model, move.alias, context.limits)
    resource = alias_resource(move.model, move.alias)
    check_etag(move.etag, present.revision if present else None, resource)
    _check_version(context.catalog, present, move, replicas)
    aliases = with_alias(context, model, move.alias, move.version)
    return _change(context, "alias.update", resource, model, aliases)


def _check_version(
    catalog: Catalog,
    present: AliasRecord | None,
    move: AliasMove,
    replicas: Sequence[ReplicaRecord],
) -> None:
    """Pass if callers of the alias can be answered.

    A new alias has none: it may name a version that no replica holds, for so an older one is loaded.
    """
    version = find_version(catalog, move.model, move.version)
    if present is None:
        if is_held(version, replicas, catalog):
            check_served(version, replicas, catalog, allowed=move.allowed.unready)
    elif present.version != move.version:
        before = catalog.versions.get((move.model, present.version))
        check_signature(before, version, allowed=move.allowed.signature_change)
        check_served(version, replicas, catalog, allowed=move.allowed.unready)


def delete_alias(context: DecisionContext, removal: AliasRemoval) -> Decision:
    """Decide on an alias's end. Raises NotFound, Aborted."""
    alias = find_alias(context.catalog, removal.model, removal.alias)
    resource = alias_resource(removal.model, removal.alias)
    check_etag(removal.etag, alias.revision, resource)
    model = find_model(context.catalog, removal.model)
    aliases = {name: record for name, record in model.aliases.items() if name != removal.alias}
    return _change(context, "alias.delete", resource, model, aliases)


def _change(
    context: DecisionContext,
    kind: str,
    resource: str,
    model: ModelRecord,
    aliases: Mapping[str, AliasRecord],
) -> Decision:
    changed = replace(model, aliases=aliases, revision=context.next_revision)
    return context.change(kind, resource, {MODELS.name: {model.name: changed}})
