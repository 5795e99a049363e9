"""Aliases: moving one or several at once, and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace import errors
from headrace.errors import FieldViolation
from headrace.resource_names import alias_resource
from headrace.state.catalog import Catalog
from headrace.state.changes import ChangedResource
from headrace.state.record_collections import MODELS
from headrace.state.records import AliasRecord, ModelRecord, ReplicaRecord
from headrace_registry.domain.decisions.allowed import NOTHING_ALLOWED, Allowed
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.decisions.gated import check_gate_of
from headrace_registry.domain.decisions.limits import check_room_for_alias
from headrace_registry.domain.decisions.readiness import check_served, is_held
from headrace_registry.domain.decisions.signature_changes import check_signature
from headrace_registry.domain.resources.models import find_model, with_alias
from headrace_registry.domain.resources.versions import find_version

MAX_MOVES = 1000
"""Of one change: what its contract states."""


@dataclass(frozen=True, slots=True)
class AliasMove:
    """A move of an alias; `allow_missing` creates it."""

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

    Raises NotFound, Aborted, FailedPrecondition (SIGNATURE_CHANGED, VERSION_NOT_SERVED,
    GATE_NOT_PASSED), ResourceExhausted (TOO_MANY_ALIASES).
    """
    return move_aliases(context, move.model, (move,), replicas)


def move_aliases(
    context: DecisionContext,
    model: str,
    moves: Sequence[AliasMove],
    replicas: Sequence[ReplicaRecord] = (),
) -> Decision:
    """Decide on aliases of a model to move, all of them in one change.

    Raises InvalidArgument (ALIASES_INVALID), and as `move_alias` does for the first that cannot be moved.
    """
    _check_moves(model, moves)
    present = changed = find_model(context.catalog, model)
    overrides: list[ChangedResource] = []
    for move in moves:
        _check_move(context, changed, move, replicas)
        overrides += _check_gate(context.catalog, present, move)
        changed = replace(changed, aliases=with_alias(context, changed, move.alias, move.version))
    first, *further = (
        ChangedResource("alias.update", alias_resource(model, move.alias)) for move in moves
    )
    changed = replace(changed, revision=context.next_revision)
    records = {MODELS.name: {model: changed}}
    told = (*further, *dict.fromkeys(overrides))
    return context.change(first.kind, first.resource, records, told)


def _check_moves(model: str, moves: Sequence[AliasMove]) -> None:
    if not 1 <= len(moves) <= MAX_MOVES:
        what = f"{len(moves)} aliases are to be moved: give 1 to {MAX_MOVES}"
        raise errors.InvalidArgument("ALIASES_INVALID", what)
    seen: set[str] = set()
    for place, move in enumerate(moves):
        if move.model != model:
            raise _invalid_move(
                place, f"{move.alias!r} is an alias of {move.model!r}, not of {model!r}"
            )
        if move.alias in seen:
            raise _invalid_move(place, f"alias {move.alias!r} is moved twice: give one version")
        seen.add(move.alias)


def _invalid_move(place: int, what: str) -> errors.InvalidArgument:
    violation = FieldViolation(f"requests[{place}].alias.name", what)
    return errors.InvalidArgument("ALIASES_INVALID", what, violations=(violation,))


def _check_move(
    context: DecisionContext,
    model: ModelRecord,
    move: AliasMove,
    replicas: Sequence[ReplicaRecord],
) -> None:
    present = model.aliases.get(move.alias)
    if present is None and not move.allow_missing:
        find_alias(context.catalog, move.model, move.alias)
    check_room_for_alias(model, move.alias, context.limits)
    resource = alias_resource(move.model, move.alias)
    check_etag(move.etag, present.revision if present else None, resource)
    _check_version(context.catalog, present, move, replicas)


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


def _check_gate(
    catalog: Catalog, model: ModelRecord, move: AliasMove
) -> tuple[ChangedResource, ...]:
    """Pass if the alias may name the version, which is judged beside what all aliases name before."""
    alias = model.aliases.get(move.alias)
    stays = alias is not None and alias.version == move.version
    if stays or model.gate is None or not model.gate.guards(move.alias):
        return ()
    return check_gate_of(catalog, model, move.version, allowed=move.allowed.gate_failure)


def delete_alias(context: DecisionContext, removal: AliasRemoval) -> Decision:
    """Decide on an alias's end. Raises NotFound, Aborted."""
    alias = find_alias(context.catalog, removal.model, removal.alias)
    resource = alias_resource(removal.model, removal.alias)
    check_etag(removal.etag, alias.revision, resource)
    model = find_model(context.catalog, removal.model)
    aliases = {name: record for name, record in model.aliases.items() if name != removal.alias}
    changed = replace(model, aliases=aliases, revision=context.next_revision)
    return context.change("alias.delete", resource, {MODELS.name: {model.name: changed}})
