"""Bindings: the roles that subjects have, for which models, and their limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from headrace import errors
from headrace.security.policy import ALL_MODELS
from headrace.state.access_records import (
    BINDING_PREFIX,
    NO_CALL_LIMITS,
    BindingRecord,
    CallLimitsRecord,
    GrantRecord,
)
from headrace.state.record_collections import BINDINGS
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.resources.admins import check_admin_stays
from headrace_registry.domain.resources.roles import check_role_exists

MAX_BINDINGS = 20_000


@dataclass(frozen=True, slots=True)
class BindingEdit:
    """All that a subject is to have; nothing at all ends its binding."""

    subject: str
    grants: tuple[GrantRecord, ...] = ()
    limits: CallLimitsRecord = NO_CALL_LIMITS
    etag: str = ""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A role for a subject, its limits, or both; None leaves as it is."""

    subject: str
    grant: GrantRecord | None = None
    limits: CallLimitsRecord | None = None


@dataclass(frozen=True, slots=True)
class GrantRemoval:
    """A role to take from a subject."""

    subject: str
    role: str


def binding_in(context: DecisionContext, subject: str) -> BindingRecord:
    """What a subject has now."""
    present = context.catalog.of(BINDINGS).get(f"{BINDING_PREFIX}{subject}")
    return BindingRecord(subject) if present is None else present


def set_binding(context: DecisionContext, edit: BindingEdit) -> Decision:
    """Decide on all that a subject has.

    Raises NotFound (ROLE_NOT_FOUND), Aborted, FailedPrecondition (LAST_ADMIN), ResourceExhausted.
    """
    present = binding_in(context, edit.subject)
    check_etag(edit.etag, present.revision or None, present.name)
    grants = merged((), edit.grants)
    return _change(context, replace(present, grants=grants, limits=edit.limits))


def grant_role(context: DecisionContext, new: NewGrant) -> Decision:
    """Decide on what a subject gets. Raises NotFound (ROLE_NOT_FOUND), FailedPrecondition,
    ResourceExhausted."""
    binding = with_grants(context, new.subject, (new.grant,) if new.grant else ())
    return _change(
        context, replace(binding, limits=binding.limits if new.limits is None else new.limits)
    )


def revoke_role(context: DecisionContext, removal: GrantRemoval) -> Decision:
    """Decide on taking a role. Raises NotFound (GRANT_NOT_FOUND), FailedPrecondition (LAST_ADMIN)."""
    present = binding_in(context, removal.subject)
    left = tuple(grant for grant in present.grants if grant.role != removal.role)
    if left == present.grants:
        had = ", ".join(grant.role for grant in present.grants) or "none"
        raise errors.NotFound(
            "GRANT_NOT_FOUND",
            f"{removal.subject} has not the role {removal.role!r}; its roles: {had}",
            facts={"subject": removal.subject, "role": removal.role},
        )
    return _change(context, replace(present, grants=left))


def with_grants(
    context: DecisionContext, subject: str, grants: Iterable[GrantRecord]
) -> BindingRecord:
    """The binding of a subject with further grants. Raises NotFound (ROLE_NOT_FOUND), ResourceExhausted."""
    present = binding_in(context, subject)
    added = tuple(grants)
    for grant in added:
        check_role_exists(context.catalog, grant.role)
    if not present.revision:
        _check_room(context)
    return replace(
        present,
        grants=merged(present.grants, added),
        updated_at=context.now,
        revision=context.next_revision,
    )


def merged(present: Iterable[GrantRecord], added: Iterable[GrantRecord]) -> tuple[GrantRecord, ...]:
    """The grants with others: one for each role, for all the models of its grants."""
    found: dict[str, GrantRecord] = {}
    for grant in (*present, *added):
        before = found.get(grant.role)
        models = dict.fromkeys((*(before.models if before else ()), *grant.models))
        together = (ALL_MODELS,) if ALL_MODELS in models else tuple(models)
        found[grant.role] = replace(before or grant, models=together)
    return tuple(found.values())


def _change(context: DecisionContext, binding: BindingRecord) -> Decision:
    for grant in binding.grants:
        check_role_exists(context.catalog, grant.role)
    is_new = binding.name not in context.catalog.of(BINDINGS)
    if is_new:
        _check_room(context)
    changed = replace(binding, updated_at=context.now, revision=context.next_revision)
    is_empty = not changed.grants and changed.limits == NO_CALL_LIMITS
    after = None if is_empty else changed
    check_admin_stays(context, bindings={changed.name: after})
    kind = "binding.delete" if is_empty else "binding.create" if is_new else "binding.update"
    return context.change(kind, changed.name, {BINDINGS.name: {changed.name: after}})


def _check_room(context: DecisionContext) -> None:
    count = len(context.catalog.of(BINDINGS))
    if count >= MAX_BINDINGS:
        raise errors.ResourceExhausted(
            "TOO_MANY_BINDINGS",
            f"{count} subjects have grants or limits, and up to {MAX_BINDINGS} may: revoke what nobody "
            "needs, or "
            "grant to groups of a JWT's issuer",
            facts={"limit": str(MAX_BINDINGS)},
        )
