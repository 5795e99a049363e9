"""How the client changes a route."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import errors
from headrace.client import Route
from headrace.client.route_changes import rolled_back, with_changes, with_share
from headrace.client.route_texts import describe_rule, parse_key, parse_rule
from headrace.state.route_records import Canary, KeySource, MatchRule, RequestKey, Shadow

PLAIN = Route("digits", stable=1, previous=None, etag="7")
TRIAL = Route("digits", stable=2, canary=Canary(3, 10.0), previous=1, etag="8")

USER = RequestKey(KeySource.HEADER, "x-user")
FULL = Route(
    "digits",
    stable=2,
    canary=Canary(3, 10.0),
    previous=1,
    more_canaries=(Canary(4, 5.0),),
    sticky_key=USER,
    matches=(MatchRule(USER, 5, equals="ada"),),
    shadow=Shadow(6, 50.0),
)


@pytest.mark.parametrize(
    ("route", "changes", "expected"),
    [
        (PLAIN, {"stable": 2}, (2, None)),
        (PLAIN, {"canary": 2, "weight": 5.0}, (1, Canary(2, 5.0))),
        (TRIAL, {"weight": 50.0}, (2, Canary(3, 50.0))),
        (TRIAL, {"canary": 4}, (2, Canary(4, 10.0))),
        (TRIAL, {"stable": 3}, (3, None)),  # the canary takes over: its trial is done
        (TRIAL, {"stable": 1}, (1, Canary(3, 10.0))),
        (TRIAL, {"end_trial": True}, (2, None)),
        (TRIAL, {"stable": 1, "end_trial": True}, (1, None)),
    ],
)
def test_changes(route: Route, changes: dict[str, Any], expected: tuple[int, Any]) -> None:
    """A row each: a route, what is changed, and its stable version and canary after."""
    changed = with_changes(route, **changes)

    assert expected == (changed.stable, changed.canary)
    assert route.etag == changed.etag


@pytest.mark.parametrize("changes", [{"weight": 5.0}, {"canary": 2}])
def test_half_a_canary_is_refused(changes: dict[str, Any]) -> None:
    """A trial needs a version and a weight, given or there."""
    with pytest.raises(errors.InvalidArgument, match="give both") as caught:
        with_changes(PLAIN, **changes)

    assert caught.value.reason == "CANARY_INCOMPLETE"


def test_rollback_makes_the_previous_version_stable() -> None:
    """Going back ends the trial and keeps the etag that was seen."""
    back = rolled_back(TRIAL)

    assert (1, None, "8") == (back.stable, back.canary, back.etag)


def test_rollback_without_a_previous_version_is_refused() -> None:
    """A route that never moved cannot go back."""
    with pytest.raises(errors.FailedPrecondition, match="never moved"):
        rolled_back(PLAIN)


def test_after_a_rollback_all_requests_go_one_way() -> None:
    """Canaries, match rules and the shadow end; the sticky key stays for the next trial."""
    back = rolled_back(FULL)

    assert Route("digits", stable=1, previous=1, sticky_key=USER) == back


@pytest.mark.parametrize(
    ("changes", "canary", "more", "shadow"),
    [
        ({"stable": 3}, Canary(4, 5.0), (), 6),
        ({"stable": 4}, Canary(3, 10.0), (), 6),
        ({"stable": 6}, Canary(3, 10.0), (Canary(4, 5.0),), None),
        ({"weight": 20.0}, Canary(3, 20.0), (Canary(4, 5.0),), 6),
        ({"end_trial": True}, None, (), 6),
    ],
)
def test_a_trial_ends_for_the_version_that_becomes_stable(
    changes: dict[str, Any], canary: Canary | None, more: tuple[Canary, ...], shadow: int | None
) -> None:
    """The others go on, and so do the sticky key and the rules."""
    changed = with_changes(FULL, **changes)

    assert (canary, more) == (changed.canary, changed.more_canaries)
    assert shadow == (changed.shadow.version if changed.shadow else None)
    assert (FULL.sticky_key, FULL.matches) == (changed.sticky_key, changed.matches)


def test_half_a_shadow_is_refused() -> None:
    """It needs a version and a share, given or there."""
    assert Shadow(6, 7.0) == with_share(FULL.shadow, None, 7.0)
    with pytest.raises(errors.InvalidArgument, match="give both") as caught:
        with_share(None, 6, None)

    assert caught.value.reason == "SHADOW_INCOMPLETE"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("header:x-user=ada", MatchRule(USER, 3, equals="ada")),
        ("header:X-User^=a=b", MatchRule(USER, 3, prefix="a=b")),
        ("parameter:Tier=a:b", MatchRule(RequestKey(KeySource.PARAMETER, "Tier"), 3, "a:b")),
    ],
)
def test_rules_are_written_as_they_are_shown(text: str, rule: MatchRule) -> None:
    """A row each: equal and beginning, and texts with signs in them."""
    assert rule == parse_rule(text, 3)
    assert rule == parse_rule(describe_rule(rule), 3)
    assert rule.key == parse_key(str(rule.key))


@pytest.mark.parametrize("text", ["x-user", "header:", "cookie:a", "", "header:a="])
def test_a_malformed_key_or_rule_says_its_form(text: str) -> None:
    """Nothing is guessed."""
    for parse in (parse_key, lambda rule: parse_rule(rule, 1)):
        if text == "header:a=" and parse is parse_key:
            continue  # a header's name may be checked by the registry alone
        with pytest.raises(errors.InvalidArgument, match="header:NAME") as caught:
            parse(text)
        assert caught.value.reason == "KEY_MALFORMED"
