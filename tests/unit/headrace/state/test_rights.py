"""Rights of the catalog: made of its records, and made anew where these have changed alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

from headrace.security.api_keys import ApiKey
from headrace.security.identities import Identity, Proof
from headrace.security.policy import CallLimits
from headrace.security.verbs import Verb
from headrace.state.access_records import (
    ApiKeyRecord,
    BindingRecord,
    CallLimitsRecord,
    GrantRecord,
    RoleRecord,
    RuleRecord,
)
from headrace.state.catalog import Catalog
from headrace.state.codec import decode, encode_sparse
from headrace.state.record_collections import API_KEYS, BINDINGS, ROLES
from headrace.state.records import ModelRecord
from headrace.state.rights import CatalogRights, rights_of

ALICE = Identity("alice", Proof.API_KEY)
KEY = ApiKeyRecord("abcd1234", "alice", "d1", 1.0)
ROLE = RoleRecord("team", (RuleRecord(("infer", "fly"), ("fraud-*",)),))
BINDING = BindingRecord("alice", (GrantRecord("team"),), CallLimitsRecord(2.0, 0.0, 3))


def granted() -> Catalog:
    """A catalog in which alice may call the models of a team."""
    records: Mapping[str, Mapping[str, object]] = {
        API_KEYS.name: {KEY.name: KEY},
        ROLES.name: {ROLE.name: ROLE},
        BINDINGS.name: {BINDING.name: BINDING},
    }
    return Catalog().updated(1, {}, {}, records)


def test_records_become_keys_roles_and_bindings() -> None:
    """A verb that is not known here allows nothing, and breaks nothing."""
    rights = rights_of(granted())
    policy = rights.policy
    assert {"d1": ApiKey("abcd1234", "alice", "d1", math.inf)} == rights.keys
    assert policy.may(ALICE, Verb.INFER, "fraud-1")
    assert not policy.may(ALICE, Verb.INFER, "digits")
    assert not policy.may(ALICE, Verb.READ, "fraud-1")
    assert CallLimits(2.0, 0.0, 3) == policy.limits_of(ALICE)


def test_a_catalog_without_records_allows_nothing() -> None:
    """As that of a registry that never heard of keys."""
    rights = rights_of(Catalog())
    assert {} == rights.keys
    assert not rights.policy.may_somewhere(ALICE, Verb.READ)


def test_rights_are_made_anew_where_their_records_changed_alone() -> None:
    """A model's change costs nothing, and a key's keeps the policy with all that it remembers."""
    rights, catalog = CatalogRights(), granted()
    first = rights.changed(catalog)
    assert first is not None
    moved = catalog.updated(2, {"digits": ModelRecord("digits", 1.0)}, {})
    assert rights.changed(moved) is None
    revoked = ApiKeyRecord("abcd1234", "alice", "d1", 1.0, disabled=True)
    after = rights.changed(moved.updated(3, {}, {}, {API_KEYS.name: {KEY.name: revoked}}))
    assert after is not None
    assert after.keys["d1"].is_disabled
    assert first.policy is after.policy


def test_the_same_records_read_anew_are_the_same() -> None:
    """A snapshot that brings nothing new makes no new rights."""
    rights, followed = CatalogRights(), granted()
    rights.changed(followed)
    assert rights.changed(granted().sharing(followed)) is None


def test_records_keep_what_a_newer_registry_added() -> None:
    """So an older one can change a binding without taking away what it does not know."""
    stored = b'{"subject":"alice","grants":[{"role":"team"}],"sources":["10.0.0.0/8"]}'
    binding = decode(BindingRecord, stored)
    assert (GrantRecord("team"),) == binding.grants
    assert b"sources" in encode_sparse(binding)
