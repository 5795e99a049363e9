"""Decisions on keys, roles and bindings, by what is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace import errors
from headrace.state.access_inbox import PostedKey
from headrace.state.access_records import (
    ApiKeyRecord,
    BindingRecord,
    CallLimitsRecord,
    GrantRecord,
    RoleRecord,
    RuleRecord,
)
from headrace.state.catalog import Catalog
from headrace.state.record_collections import ACCESS, API_KEYS, BINDINGS
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.resources.api_keys import (
    KEPT_SECONDS,
    KeyRotation,
    NewApiKey,
    create_key,
    revoke_key,
    rotate_key,
)
from headrace_registry.domain.resources.bindings import (
    MAX_BINDINGS,
    BindingEdit,
    GrantRemoval,
    NewGrant,
    grant_role,
    revoke_role,
    set_binding,
)
from headrace_registry.domain.resources.bootstrap import OVERLAP_SECONDS, is_known, take_key
from headrace_registry.domain.resources.roles import MAX_ROLES, RoleEdit, create_role, update_role

NOW = 1_000_000_000.0
ROOT = BindingRecord("root", (GrantRecord("admin"),), revision=1)
READ = (RuleRecord(("read",)),)


def context(*records: ApiKeyRecord | RoleRecord | BindingRecord) -> DecisionContext:
    """What decisions are made from where these records are there."""
    further: dict[str, dict[str, object]] = {}
    for collection in ACCESS:
        mine = [each for each in records if isinstance(each, collection.record_type)]
        further[collection.name] = {each.name: each for each in mine}
    return DecisionContext(Catalog().updated(1, {}, {}, further), "ada", NOW)


def key(key_id: str, *, ends: float = 0.0, disabled: bool = False) -> ApiKeyRecord:
    """A key of alice."""
    return ApiKeyRecord(key_id, "alice", key_id * 8, NOW - 10, ends, disabled)


def binding_after(decision: Decision, subject: str) -> BindingRecord | None:
    """The binding that a decision makes."""
    found = decision.records[BINDINGS.name][f"bindings/{subject}"]
    assert found is None or isinstance(found, BindingRecord)
    return found


def key_after(decision: Decision, key_id: str) -> ApiKeyRecord:
    """The key that a decision makes."""
    found = decision.records[API_KEYS.name][f"keys/{key_id}"]
    assert isinstance(found, ApiKeyRecord)
    return found


def refused(*records: ApiKeyRecord | RoleRecord | BindingRecord, new: NewApiKey) -> str:
    """The reason why a key is not made."""
    with pytest.raises(errors.ResourceExhausted) as caught:
        create_key(context(*records), new)
    return caught.value.reason


def test_a_subject_has_two_live_keys_at_most() -> None:
    """Those that were revoked or have ended do not count."""
    new = NewApiKey("c", "alice", "digest")
    assert refused(key("a"), key("b"), new=new) == "TOO_MANY_API_KEYS"
    for ended in (key("b", ends=NOW), key("b", disabled=True)):
        decision = create_key(context(key("a"), ended), new)
        assert ApiKeyRecord("c", "alice", "digest", NOW, created_by="ada", revision=2) == key_after(
            decision, "c"
        )


def test_a_key_can_come_with_roles_and_an_end() -> None:
    """In one change, so nobody sees it without."""
    new = NewApiKey("a", "alice", "digest", 60.0, grants=(GrantRecord("caller", ("fraud-*",)),))
    decision = create_key(context(), new)
    assert NOW + 60 == key_after(decision, "a").expires_at
    binding = binding_after(decision, "alice")
    assert binding is not None
    assert (GrantRecord("caller", ("fraud-*",)),) == binding.grants


def test_a_rotated_key_ends_after_the_overlap_or_before() -> None:
    """An end that is nearer stays."""
    for ends, expected in ((0.0, NOW + 60), (NOW + 5, NOW + 5)):
        decision = rotate_key(context(key("a", ends=ends)), KeyRotation("a", "b", "digest", 60.0))
        assert expected == key_after(decision, "a").expires_at
        assert "alice" == key_after(decision, "b").subject


def test_a_key_is_rotated_once_at_a_time_unless_it_ends_at_once() -> None:
    """Else three would be live."""
    there = context(key("a"), key("b"))
    with pytest.raises(errors.ResourceExhausted):
        rotate_key(there, KeyRotation("a", "c", "digest", 60.0))
    decision = rotate_key(there, KeyRotation("a", "c", "digest", 0.0))
    assert not key_after(decision, "a").is_live(NOW)


def test_a_revoked_key_stays_so() -> None:
    """And its end is when it was revoked first."""
    first = key_after(revoke_key(context(key("a")), "a"), "a")
    again = key_after(revoke_key(replace(context(first), now=NOW + 9), "a"), "a")
    assert (True, NOW, NOW) == (first.disabled, first.expires_at, again.expires_at)


def test_keys_that_ended_long_ago_are_forgotten() -> None:
    """With the next change of a key; those that ended lately stay listed."""
    there = context(key("a", ends=NOW - KEPT_SECONDS - 1), key("b", ends=NOW - 1))
    decision = create_key(there, NewApiKey("c", "alice", "digest"))
    assert {"keys/a": None} == {
        name: one for name, one in decision.records[API_KEYS.name].items() if one is None
    }


def test_grants_of_a_role_add_up() -> None:
    """One grant for each role, of all the models it was granted for."""
    there = context(BindingRecord("alice", (GrantRecord("caller", ("a",)),), revision=1))
    decision = grant_role(there, NewGrant("alice", GrantRecord("caller", ("b", "a"))))
    after = binding_after(decision, "alice")
    assert after is not None
    assert (GrantRecord("caller", ("a", "b")),) == after.grants
    everything = binding_after(grant_role(there, NewGrant("alice", GrantRecord("caller"))), "alice")
    assert everything is not None
    assert (GrantRecord("caller", ("*",)),) == everything.grants


def test_limits_are_set_without_a_role_and_stay_with_another() -> None:
    """A grant leaves limits alone."""
    limits = CallLimitsRecord(5.0)
    first = binding_after(grant_role(context(), NewGrant("alice", None, limits)), "alice")
    assert first is not None
    after = binding_after(
        grant_role(context(first), NewGrant("alice", GrantRecord("viewer"))), "alice"
    )
    assert after is not None
    assert limits == after.limits


def test_a_binding_without_anything_ends() -> None:
    """So nothing is left of who was there."""
    there = context(BindingRecord("alice", (GrantRecord("viewer"),), revision=1))
    decision = revoke_role(there, GrantRemoval("alice", "viewer"))
    assert ("binding.delete", None) == (decision.kind, binding_after(decision, "alice"))


def test_the_last_admin_stays() -> None:
    """By whatever way he would go; a second one frees the first."""
    team = RoleRecord("team", (RuleRecord(("admin",)),))
    half = BindingRecord("half", (GrantRecord("admin", ("fraud-*",)),), revision=1)
    alone = context(ROOT, half)
    with pytest.raises(errors.FailedPrecondition) as caught:
        revoke_role(alone, GrantRemoval("root", "admin"))
    assert "LAST_ADMIN" == caught.value.reason
    with pytest.raises(errors.FailedPrecondition):
        set_binding(alone, BindingEdit("root", (GrantRecord("admin", ("fraud-*",)),)))
    other = BindingRecord("other", (GrantRecord("team"),), revision=1)
    revoke_role(context(ROOT, other, team), GrantRemoval("root", "admin"))
    with pytest.raises(errors.FailedPrecondition):
        update_role(context(other, team), RoleEdit("team", READ))


def test_the_last_live_key_of_admins_stays() -> None:
    """A key that ends counts until then; another one takes its place at any time."""
    alice = BindingRecord("alice", (GrantRecord("admin"),), revision=1)
    bob = replace(key("b"), subject="bob")
    others: tuple[tuple[ApiKeyRecord | BindingRecord, ...], ...] = (
        (),
        (key("c", ends=NOW),),
        (key("c", disabled=True),),
        (ROOT,),
        (BindingRecord("bob", (GrantRecord("admin", ("fraud-*",)),), revision=1),),
    )
    for more in others:
        with pytest.raises(errors.FailedPrecondition, match="keys rotate a --overlap 0s") as caught:
            revoke_key(context(alice, key("a"), bob, *more), "a")
        assert "LAST_ADMIN" == caught.value.reason
    rotate_key(context(alice, key("a")), KeyRotation("a", "c", "digest", 0.0, 1.0))
    revoke_key(context(alice, key("a"), bob), "b")
    revoke_key(context(alice, key("a"), key("c", ends=NOW + 1)), "a")
    for name in ("corp:ada", "spiffe://example.org/ada", "anonymous", "bob"):
        admin = BindingRecord(name, (GrantRecord("admin"),), revision=1)
        revoke_key(context(alice, admin, key("a"), bob), "a")


def test_without_any_admin_nothing_is_guarded() -> None:
    """As before authentication is on."""
    there = context(BindingRecord("alice", (GrantRecord("viewer"),), revision=1))
    revoke_role(there, GrantRemoval("alice", "viewer"))
    revoke_key(context(ROOT, key("a")), "a")  # no admin could come before


def test_there_is_room_for_so_many_roles_and_bindings() -> None:
    """Every process keeps all of them."""
    roles = [RoleRecord(f"r{number}", READ) for number in range(MAX_ROLES)]
    with pytest.raises(errors.ResourceExhausted) as caught:
        create_role(context(*roles), RoleEdit("another", READ))
    assert "TOO_MANY_ROLES" == caught.value.reason
    bindings = [BindingRecord(f"s{number}", revision=1) for number in range(MAX_BINDINGS)]
    with pytest.raises(errors.ResourceExhausted) as caught:
        grant_role(context(*bindings), NewGrant("another", GrantRecord("viewer")))
    assert "TOO_MANY_BINDINGS" == caught.value.reason


def test_a_key_that_was_left_in_the_folder_replaces_those_before() -> None:
    """Live ones go on for a while, ended ones are forgotten; those of people and other suites stay."""
    made = replace(key("a"), created_by="bootstrap")
    ended = replace(key("b", ends=NOW), created_by="bootstrap")
    posted = PostedKey("d", "alice", "digest", NOW, grants=(GrantRecord("service"),), replaces=True)
    elsewhere = replace(key("e"), created_by="bootstrap", note="another suite")
    decision = take_key(context(made, ended, key("c"), elsewhere), posted)
    keys = decision.records[API_KEYS.name]
    assert {"keys/a", "keys/b", "keys/d"} == set(keys)
    assert NOW + OVERLAP_SECONDS == key_after(decision, "a").expires_at
    assert keys["keys/b"] is None
    assert binding_after(decision, "alice") is not None


def test_a_key_that_was_left_is_taken_once() -> None:
    """One that was revoked since stays so."""
    posted = PostedKey("a", "alice", "digest", NOW)
    assert is_known(context(key("a", disabled=True)).catalog, posted)
    assert not is_known(context(key("b")).catalog, posted)
