"""Routes: how the requests of a model that name no version are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace import errors
from headrace.resource_names import route_resource
from headrace.state.catalog import Catalog
from headrace.state.changes import ChangedResource
from headrace.state.record_collections import MODELS
from headrace.state.records import ModelRecord, ReplicaRecord
from headrace.state.route_records import RouteRecord
from headrace.state.unknown_fields import with_unknown_of
from headrace_registry.domain.decisions.allowed import NOTHING_ALLOWED, Allowed
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.decisions.gated import check_gate_of
from headrace_registry.domain.decisions.readiness import check_served
from headrace_registry.domain.decisions.signature_changes import check_signature
from headrace_registry.domain.resources.models import find_model
from headrace_registry.domain.resources.route_rules import check_route
from headrace_registry.domain.resources.versions import find_version


@dataclass(frozen=True, slots=True)
class RouteEdit:
    """The whole route that a model is to have; what is not in it ends.

    When it changes and what is its way back is not the caller's to say.
    """

    model: str
    route: RouteRecord
    etag: str = ""
    allowed: Allowed = NOTHING_ALLOWED


def find_route(catalog: Catalog, model: str) -> RouteRecord:
    """The route. Raises NotFound (MODEL_NOT_FOUND), FailedPrecondition (MODEL_HAS_NO_VERSION)."""
    route = find_model(catalog, model).route
    if route is None:
        raise errors.FailedPrecondition(
            "MODEL_HAS_NO_VERSION",
            f"model {model!r} has no version yet, so no route: push one",
            facts={"model": model},
        )
    return route


def update_route(
    context: DecisionContext, edit: RouteEdit, replicas: Sequence[ReplicaRecord] = ()
) -> Decision:
    """Decide on a route: all of it in one change; the former stable is kept as the way back.

    Raises NotFound, Aborted, FailedPrecondition (SIGNATURE_CHANGED, VERSION_NOT_SERVED, GATE_NOT_PASSED),
    InvalidArgument (ROUTE_INVALID).
    """
    resource = route_resource(edit.model)
    present = find_route(context.catalog, edit.model)
    check_etag(edit.etag, present.revision, resource)
    check_route(edit.route)
    _check_versions(context.catalog, present, edit, replicas)
    model = find_model(context.catalog, edit.model)
    overrides = _check_gate(context.catalog, model, present, edit)
    stable_stays = edit.route.stable == present.stable
    route = replace(
        with_unknown_of(edit.route, present),
        previous=present.previous if stable_stays else present.stable,
        updated_at=context.now,
        revision=context.next_revision,
    )
    changed = replace(model, route=route, revision=context.next_revision)
    records = {MODELS.name: {edit.model: changed}}
    return context.change("route.update", resource, records, overrides)


def _check_versions(
    catalog: Catalog, present: RouteRecord, edit: RouteEdit, replicas: Sequence[ReplicaRecord]
) -> None:
    """Pass if callers can be answered by what the edit changes; what stays is not judged anew."""
    numbers = {
        number: find_version(catalog, edit.model, number) for _, number in edit.route.named()
    }
    stable = numbers[edit.route.stable]
    if stable.number != present.stable:
        before = catalog.versions.get((edit.model, present.stable))
        check_signature(before, stable, allowed=edit.allowed.signature_change)
        check_served(stable, replicas, catalog, allowed=edit.allowed.unready)
    for role, number in dict.fromkeys(edit.route.named()):
        known = _judged(present, role)
        if number != stable.number and not {stable.number, number} <= known:
            check_signature(stable, numbers[number], allowed=edit.allowed.signature_change)
        if number != stable.number and number not in known:
            check_served(numbers[number], replicas, catalog, allowed=edit.allowed.unready)


def _check_gate(
    catalog: Catalog, model: ModelRecord, present: RouteRecord, edit: RouteEdit
) -> tuple[ChangedResource, ...]:
    """Pass if what comes to answer callers, or to be stable, passes the gate; a shadow answers nobody.

    The way back is always open: what was stable before is not judged where it is made stable again.
    """
    known = {number for role, number in present.named() if role != "shadow"}
    named = {number for role, number in edit.route.named() if role not in ("stable", "shadow")}
    judged = named - known
    if edit.route.stable not in (present.stable, present.previous):
        judged.add(edit.route.stable)
    overrides: list[ChangedResource] = []
    for number in sorted(judged):
        overrides += check_gate_of(catalog, model, number, allowed=edit.allowed.gate_failure)
    return tuple(overrides)


def _judged(present: RouteRecord, role: str) -> set[int]:
    """The versions that were judged for this role; those that answer callers may be shadows, too."""
    return {number for was, number in present.named() if was != "shadow" or role == "shadow"}
