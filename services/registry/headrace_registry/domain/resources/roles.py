"""Roles: names for rules, which are granted to subjects."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace import errors
from headrace.security.policy import BUILT_IN_ROLES
from headrace.state.access_records import ROLE_PREFIX, RoleRecord, RuleRecord
from headrace.state.catalog import Catalog
from headrace.state.record_collections import BINDINGS, ROLES
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.etags import check_etag
from headrace_registry.domain.resources.admins import check_admin_stays

MAX_ROLES = 1000


@dataclass(frozen=True, slots=True)
class RoleEdit:
    """All of a role as it is to be."""

    role: str
    rules: tuple[RuleRecord, ...]
    description: str = ""
    etag: str = ""
    allow_missing: bool = False


@dataclass(frozen=True, slots=True)
class RoleRemoval:
    """A role to delete."""

    role: str
    etag: str = ""


def find_role(catalog: Catalog, role: str) -> RoleRecord:
    """The role, which is none of those that are built in. Raises NotFound (ROLE_NOT_FOUND)."""
    found = catalog.of(ROLES).get(f"{ROLE_PREFIX}{role}")
    if found is None:
        raise _not_found(role)
    return found


def check_role_exists(catalog: Catalog, role: str) -> None:
    """Pass if there is a role of this name. Raises NotFound (ROLE_NOT_FOUND)."""
    if role not in BUILT_IN_ROLES:
        find_role(catalog, role)


def create_role(context: DecisionContext, edit: RoleEdit) -> Decision:
    """Decide on a new role. Raises AlreadyExists (ROLE_EXISTS), ResourceExhausted (TOO_MANY_ROLES)."""
    roles = context.catalog.of(ROLES)
    if edit.role in BUILT_IN_ROLES or f"{ROLE_PREFIX}{edit.role}" in roles:
        raise errors.AlreadyExists(
            "ROLE_EXISTS",
            f"there is a role {edit.role!r} already: change it, or choose another name",
            facts={"role": edit.role},
        )
    if len(roles) >= MAX_ROLES:
        raise errors.ResourceExhausted(
            "TOO_MANY_ROLES",
            f"there are {len(roles)} roles, and up to {MAX_ROLES} are allowed: delete those that nobody "
            "has",
            facts={"limit": str(MAX_ROLES)},
        )
    return _set(context, "role.create", RoleRecord(edit.role), edit)


def update_role(context: DecisionContext, edit: RoleEdit) -> Decision:
    """Decide on all of a role.

    Raises NotFound, Aborted, FailedPrecondition (ROLE_BUILT_IN, LAST_ADMIN), ResourceExhausted.
    """
    _check_not_built_in(edit.role)
    present = context.catalog.of(ROLES).get(f"{ROLE_PREFIX}{edit.role}")
    check_etag(edit.etag, present.revision if present else None, f"{ROLE_PREFIX}{edit.role}")
    if present is None:
        if not edit.allow_missing:
            raise _not_found(edit.role)
        return create_role(context, edit)
    return _set(context, "role.update", present, edit)


def delete_role(context: DecisionContext, removal: RoleRemoval) -> Decision:
    """Decide on a role's end. Raises NotFound, Aborted, FailedPrecondition (ROLE_BUILT_IN, ROLE_IN_USE)."""
    _check_not_built_in(removal.role)
    present = find_role(context.catalog, removal.role)
    check_etag(removal.etag, present.revision, present.name)
    holders = sorted(
        binding.subject
        for binding in context.catalog.of(BINDINGS).values()
        if any(grant.role == removal.role for grant in binding.grants)
    )
    if holders:
        raise errors.FailedPrecondition(
            "ROLE_IN_USE",
            f"{len(holders)} subject(s) have the role {removal.role!r}, {holders[0]} first: take it from "
            "them "
            f"(`headrace revoke {holders[0]} {removal.role}`)",
            facts={"role": removal.role, "subjects": str(len(holders))},
        )
    return context.change("role.delete", present.name, {ROLES.name: {present.name: None}})


def _set(context: DecisionContext, kind: str, present: RoleRecord, edit: RoleEdit) -> Decision:
    changed = replace(
        present,
        rules=edit.rules,
        description=edit.description,
        updated_at=context.now,
        revision=context.next_revision,
    )
    check_admin_stays(context, roles={changed.name: changed})
    return context.change(kind, changed.name, {ROLES.name: {changed.name: changed}})


def _check_not_built_in(role: str) -> None:
    if role in BUILT_IN_ROLES:
        raise errors.FailedPrecondition(
            "ROLE_BUILT_IN",
            f"the role {role!r} is built in and stays as it is: create another one",
            facts={"role": role},
        )


def _not_found(role: str) -> errors.NotFound:
    return errors.NotFound(
        "ROLE_NOT_FOUND",
        f"there is no role {role!r}: built in are {', '.join(BUILT_IN_ROLES)}; `headrace roles list` lists "
        "all",
        facts={"role": role},
    )
