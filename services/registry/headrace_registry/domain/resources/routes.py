"""Routes: how the requests of a model that name no version are spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headrace import errors
from headrace.errors import FieldViolation
from headrace.resource_names import route_resource
from headrace.state.catalog import Catalog
from headrace.state.records import ReplicaRecord
from headrace.state.route_records import Canary, RouteRecord
from headrace_registry.domain.decisions.allowed import NOTHING_ALLOWED, Allowed
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.decisions.readiness import check_served
from headrace_registry.domain.decisions.signature_changes import check_signature
from headrace_registry.domain.resources.models import find_model
from headrace_registry.domain.resources.versions import find_version


@dataclass(frozen=True, slots=True)
class RouteEdit:
    """The whole route that a model is to have; no canary ends the trial."""

    model: str
    stable: int
    canary: Canary | None = None
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

    Raises NotFound, Aborted, FailedPrecondition (SIGNATURE_CHANGED, VERSION_NOT_SERVED), InvalidArgument
    (ROUTE_INVALID).
    """
    resource = route_resource(edit.model)
    present = find_route(context.catalog, edit.model)
    check_etag(edit.etag, present.revision, resource)
    _check(edit)
    _check_versions(context.catalog, present, edit, replicas)
    route = RouteRecord(
        stable=edit.stable,
        canary=edit.canary,
        previous=present.previous if edit.stable == present.stable else present.stable,
        updated_at=context.now,
        revision=context.next_revision,
    )
    model = find_model(context.catalog, edit.model)
    changed = replace(model, route=route, revision=context.next_revision)
    return context.change("route.update", resource, {edit.model: changed})


def _check_versions(
    catalog: Catalog, present: RouteRecord, edit: RouteEdit, replicas: Sequence[ReplicaRecord]
) -> None:
    """Pass if callers can be answered by what the edit changes; what stays is not judged anew."""
    stable = find_version(catalog, edit.model, edit.stable)
    canary = find_version(catalog, edit.model, edit.canary.version) if edit.canary else None
    before = catalog.versions.get((edit.model, present.stable))
    now = {present.stable, present.canary.version if present.canary else None}
    if edit.stable != present.stable:
        check_signature(before, stable, allowed=edit.allowed.signature_change)
        check_served(stable, replicas, catalog, allowed=edit.allowed.unready)
    if canary is not None and not {edit.stable, canary.number} <= now:
        check_signature(stable, canary, allowed=edit.allowed.signature_change)
    if canary is not None and canary.number not in now:
        check_served(canary, replicas, catalog, allowed=edit.allowed.unready)


def _check(edit: RouteEdit) -> None:
    violations = tuple(_violations(edit))
    if violations:
        listed = "; ".join(f"{wrong.field}: {wrong.description}" for wrong in violations)
        raise errors.InvalidArgument(
            "ROUTE_INVALID", f"the route is not valid: {listed}", violations=violations
        )


def _violations(edit: RouteEdit) -> Iterator[FieldViolation]:
    if edit.stable < 1:
        yield FieldViolation(
            "route.stable_version", f"{edit.stable} is no version: they start at 1"
        )
    if edit.canary is None:
        return
    if edit.canary.version == edit.stable:
        yield FieldViolation("route.canary.version", f"{edit.stable} is the stable version already")
    if not 0 < edit.canary.weight_percent <= 100:
        yield FieldViolation(
            "route.canary.weight_percent",
            f"{edit.canary.weight_percent:g} is not over 0 and up to 100",
        )
