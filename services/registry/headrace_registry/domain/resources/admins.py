"""The guard that somebody stays admin: without one, nobody could grant anything any more."""

from __future__ import annotations

from collections.abc import Mapping

from headrace import errors
from headrace.security.identities import Identity, Proof
from headrace.security.policy import Policy
from headrace.security.verbs import Verb
from headrace.state.access_records import BindingRecord, RoleRecord
from headrace.state.catalog import Catalog
from headrace.state.record_collections import BINDINGS, ROLES
from headrace.state.rights import binding_of, role_of
from headrace_registry.domain.decisions.decision_context import DecisionContext


def check_admin_stays(
    context: DecisionContext,
    *,
    roles: Mapping[str, RoleRecord | None] | None = None,
    bindings: Mapping[str, BindingRecord | None] | None = None,
) -> None:
    """Pass if there is an admin of all models after these changes, or was none before.

    Raises FailedPrecondition (LAST_ADMIN).
    """
    held_roles, held = context.catalog.of(ROLES), context.catalog.of(BINDINGS)
    if not _has_admin(held_roles, held):
        return
    if not _has_admin({**held_roles, **(roles or {})}, {**held, **(bindings or {})}):
        raise errors.FailedPrecondition(
            "LAST_ADMIN",
            "nobody would be admin of all models any more, and nobody could grant anything: make another "
            "subject admin first (`headrace grant SUBJECT admin`)",
        )


def has_admin(catalog: Catalog) -> bool:
    """Return whether any subject is admin of all models."""
    roles, bindings = catalog.of(ROLES), catalog.of(BINDINGS)
    return _has_admin(roles, bindings)


def _has_admin(
    roles: Mapping[str, RoleRecord | None], bindings: Mapping[str, BindingRecord | None]
) -> bool:
    policy = Policy(
        {role.id: role_of(role) for role in roles.values() if role},
        {binding.subject: binding_of(binding) for binding in bindings.values() if binding},
    )
    return any(
        policy.may_everywhere(Identity(subject, Proof.NONE), Verb.ADMIN)
        for subject in policy.bindings
    )
