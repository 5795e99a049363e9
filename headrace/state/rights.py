"""Makes of the catalog what decides who may do what: the keys by their digests, and the policy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from headrace.security.access import Rights
from headrace.security.api_keys import ApiKey
from headrace.security.policy import BUILT_IN_ROLES, Binding, CallLimits, Grant, Policy, Role, Rule
from headrace.security.verbs import Verb
from headrace.state.access_records import ApiKeyRecord, BindingRecord, RoleRecord, RuleRecord
from headrace.state.catalog import Catalog
from headrace.state.record_collections import ACCESS, API_KEYS, BINDINGS, ROLES

BUILT_IN: tuple[RoleRecord, ...] = tuple(
    RoleRecord(
        role.name,
        tuple(
            RuleRecord(tuple(verb.value for verb in Verb if verb in rule.verbs), rule.models)
            for rule in role.rules
        ),
    )
    for role in BUILT_IN_ROLES.values()
)
"""The roles that there always are, as records are; they are not in the catalog."""

_VERBS: Mapping[str, Verb] = {verb.value: verb for verb in Verb}


def rights_of(catalog: Catalog) -> Rights:
    """The rights that the catalog says."""
    return Rights(keys_of(catalog.of(API_KEYS).values()), policy_of(catalog))


def keys_of(records: Iterable[ApiKeyRecord]) -> dict[str, ApiKey]:
    """The keys by their digests; those that were revoked, too, as disabled."""
    return {record.digest: _key(record) for record in records}


def policy_of(catalog: Catalog) -> Policy:
    """The policy of the catalog's roles and bindings."""
    return Policy(
        {record.id: role_of(record) for record in catalog.of(ROLES).values()},
        {record.subject: binding_of(record) for record in catalog.of(BINDINGS).values()},
    )


class CatalogRights:
    """The rights of one catalog after another, made anew where keys, roles or bindings have changed."""

    def __init__(self) -> None:
        self._seen: tuple[object, ...] = ()
        self._rights = Rights()

    def changed(self, catalog: Catalog) -> Rights | None:
        """The rights of this catalog; None where they are those of the one before."""
        seen = tuple(catalog.further.get(collection.name) for collection in ACCESS)
        if self._seen and all(a is b for a, b in zip(seen, self._seen, strict=True)):
            return None
        same_policy = bool(self._seen) and seen[1] is self._seen[1] and seen[2] is self._seen[2]
        policy = self._rights.policy if same_policy else policy_of(catalog)
        self._seen = seen
        self._rights = Rights(keys_of(catalog.of(API_KEYS).values()), policy)
        return self._rights


def role_of(record: RoleRecord) -> Role:
    """The role, without verbs that are not known here."""
    return Role(record.id, tuple(map(_rule, record.rules)))


def binding_of(record: BindingRecord) -> Binding:
    """What a subject has."""
    limits = record.limits
    return Binding(
        tuple(Grant(grant.role, grant.models) for grant in record.grants),
        CallLimits(limits.requests_per_second, limits.rows_per_second, limits.in_flight),
    )


def _rule(record: RuleRecord) -> Rule:
    return Rule(frozenset(_VERBS[verb] for verb in record.verbs if verb in _VERBS), record.models)


def _key(record: ApiKeyRecord) -> ApiKey:
    ends = record.expires_at or math.inf
    return ApiKey(record.id, record.subject, record.digest, ends, record.disabled)
