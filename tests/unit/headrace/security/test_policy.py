"""The policy: what grants allow, and that nothing else is."""

import pytest

from headrace.security.identities import NOBODY, Identity, Proof
from headrace.security.policy import (
    BUILT_IN_ROLES,
    MAX_DECISIONS,
    Binding,
    CallLimits,
    Grant,
    Policy,
    Role,
    Rule,
    is_pattern,
)
from headrace.security.verbs import Verb

ALICE = Identity("alice", Proof.API_KEY)


def granted(*grants: Grant, roles: tuple[Role, ...] = ()) -> Policy:
    return Policy({role.name: role for role in roles}, {"alice": Binding(grants)})


def test_nothing_is_allowed_without_a_grant() -> None:
    policy = granted()
    assert not any(policy.may(ALICE, verb, "digits") for verb in Verb)
    assert not policy.may(NOBODY, Verb.INFER, "digits")


def test_a_role_gives_its_verbs_for_the_models_of_the_grant_only() -> None:
    policy = granted(Grant("caller", ("fraud-*",)))
    assert policy.may(ALICE, Verb.INFER, "fraud-eu")
    assert policy.may(ALICE, Verb.READ, "fraud-eu")
    assert not policy.may(ALICE, Verb.PUSH, "fraud-eu")
    assert not policy.may(ALICE, Verb.INFER, "digits")
    assert not policy.may(ALICE, Verb.INFER, "Fraud-eu")
    assert not policy.may_everywhere(ALICE, Verb.INFER)
    assert policy.may_somewhere(ALICE, Verb.INFER)
    assert not policy.may_somewhere(ALICE, Verb.PUSH)


def test_both_patterns_of_a_grant_and_its_role_have_to_fit() -> None:
    team = Role("team", (Rule(frozenset([Verb.INFER]), ("fraud-*", "digits")),))
    policy = granted(Grant("team", ("*-eu", "digits")), roles=(team,))
    assert policy.may(ALICE, Verb.INFER, "fraud-eu")
    assert policy.may(ALICE, Verb.INFER, "digits")
    assert not policy.may(ALICE, Verb.INFER, "fraud-us")
    assert not policy.may(ALICE, Verb.INFER, "spam-eu")


def test_a_role_of_ones_own_does_not_replace_a_built_in_one() -> None:
    wide = Role("viewer", (Rule(frozenset(Verb)),))
    policy = granted(Grant("viewer"), roles=(wide,))
    assert policy.may(ALICE, Verb.READ, "digits")
    assert not policy.may(ALICE, Verb.DELETE, "digits")


def test_a_role_that_is_gone_gives_nothing() -> None:
    assert not granted(Grant("former")).may(ALICE, Verb.READ, "digits")


def test_the_grants_of_groups_count() -> None:
    policy = Policy({}, {"corp:group:ml": Binding((Grant("publisher"),))})
    member = Identity("corp:alice", Proof.TOKEN, groups=("corp:group:ml",))
    assert policy.may(member, Verb.PUSH, "digits")
    assert not policy.may(Identity("corp:bob", Proof.TOKEN), Verb.PUSH, "digits")


def test_the_admin_is_no_service_and_pushing_is_not_routing() -> None:
    policy = granted(Grant("admin"))
    assert policy.may_everywhere(ALICE, Verb.ADMIN)
    assert not policy.may_everywhere(ALICE, Verb.SERVICE)
    assert not granted(Grant("publisher")).may(ALICE, Verb.ROUTE, "digits")


def test_every_built_in_role_but_the_service_may_read() -> None:
    assert all(Verb.READ in role.rules[0].verbs for role in BUILT_IN_ROLES.values())


def test_remembered_decisions_are_bounded() -> None:
    policy = granted(Grant("caller", ("a*",)))
    for number in range(MAX_DECISIONS + 10):
        assert policy.may(ALICE, Verb.INFER, f"a{number}")
    assert len(policy._decisions) <= MAX_DECISIONS


def test_limits_are_of_the_subject_itself() -> None:
    limits = CallLimits(requests_per_second=5)
    policy = Policy({}, {"alice": Binding(limits=limits), "g": Binding(limits=CallLimits(1))})
    assert policy.limits_of(Identity("alice", Proof.API_KEY, groups=("g",))) == limits
    assert policy.limits_of(NOBODY) == CallLimits()


@pytest.mark.parametrize(
    ("text", "fits"),
    [("*", True), ("fraud-*", True), ("a.b_c", True), ("", False), ("[a]", False), ("a?", False)],
)
def test_patterns_are_names_with_stars(text: str, fits: bool) -> None:
    assert is_pattern(text) is fits
