"""The guard that somebody stays admin and can prove it: else nobody could grant anything any more."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from headrace import errors
from headrace.security.identities import ANONYMOUS, Identity, Proof
from headrace.security.policy import Policy
from headrace.security.verbs import Verb
from headrace.state.access_records import ApiKeyRecord, BindingRecord, RoleRecord
from headrace.state.catalog import Catalog
from headrace.state.record_collections import API_KEYS, BINDINGS, ROLES
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


def check_admin_can_come(context: DecisionContext, changed: ApiKeyRecord) -> None:
    """Pass if an admin of all models can prove who he is after this key's change, or none could before.

    A key counts while it lives, also one that expires. Raises FailedPrecondition (LAST_ADMIN).
    """
    roles, bindings = context.catalog.of(ROLES), context.catalog.of(BINDINGS)
    keys = context.catalog.of(API_KEYS)
    admins = list(_admins(roles, bindings))
    after = _holders({**keys, changed.name: changed}, context.now)
    if _can_come(admins, _holders(keys, context.now)) and not _can_come(admins, after):
        raise errors.FailedPrecondition(
            "LAST_ADMIN",
            f"{changed.id} is the last live key of any admin of all models, and nobody could grant "
            f"anything without it: make another first (`headrace keys create {changed.subject}`), or have "
            f"a new one take its place at once (`headrace keys rotate {changed.id} --overlap 0s`)",
            facts={"key": changed.id, "subject": changed.subject},
        )


def has_admin(catalog: Catalog) -> bool:
    """Return whether any subject is admin of all models."""
    roles, bindings = catalog.of(ROLES), catalog.of(BINDINGS)
    return _has_admin(roles, bindings)


def _has_admin(
    roles: Mapping[str, RoleRecord | None], bindings: Mapping[str, BindingRecord | None]
) -> bool:
    return any(_admins(roles, bindings))


def _admins(
    roles: Mapping[str, RoleRecord | None], bindings: Mapping[str, BindingRecord | None]
) -> Iterator[str]:
    policy = Policy(
        {role.id: role_of(role) for role in roles.values() if role},
        {binding.subject: binding_of(binding) for binding in bindings.values() if binding},
    )
    for subject in policy.bindings:
        if policy.may_everywhere(Identity(subject, Proof.NONE), Verb.ADMIN):
            yield subject


def _holders(keys: Mapping[str, ApiKeyRecord], now: float) -> set[str]:
    return {key.subject for key in keys.values() if key.is_live(now)}


def _can_come(admins: list[str], holders: Container[str]) -> bool:
    """Return whether one of them can: names with ':' are of tokens and certificates, others of keys."""
    return any(":" in name or name == ANONYMOUS or name in holders for name in admins)
