"""Routes with several canaries, sticky keys, match rules and shadows: granted or refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace import errors
from headrace.client import resource_messages
from headrace.conversion import route_from_proto
from headrace.state.route_records import (
    Canary,
    KeySource,
    MatchRule,
    RequestKey,
    RouteRecord,
    Shadow,
)
from headrace_registry.domain.decisions.allowed import Allowed
from headrace_registry.domain.resources.routes import RouteEdit, update_route
from headrace_registry.domain.resources.versions import (
    VersionRemoval,
    delete_version,
    references_to,
)
from headrace_registry.wire.convert import route_to_proto
from tests.unit.registry.decisions.test_decisions import CATALOG, MODEL, NOW, SITUATION
from tests.unit.registry.decisions.test_replacements import LOADING, READY
from tests.unit.registry.decisions.test_replacements import SITUATION as REPLACEMENTS

USER = RequestKey(KeySource.HEADER, "x-user")
TIER = RequestKey(KeySource.PARAMETER, "tier")
FULL = RouteRecord(
    1,
    Canary(2, 10.0),
    more_canaries=(Canary(3, 33.5),),
    sticky_key=USER,
    matches=(MatchRule(USER, 3, equals="ada"), MatchRule(TIER, 1, prefix="be")),
    shadow=Shadow(4, 0.5),
)

INVALID = [
    (replace(FULL, canary=None), "more_canaries: set canary first"),
    (replace(FULL, more_canaries=(Canary(2, 1.0),)), "more_canaries[0].version: 2 is a canary"),
    (replace(FULL, more_canaries=(Canary(1, 1.0),)), "more_canaries[0].version: 1 is the stable"),
    (replace(FULL, more_canaries=(Canary(3, 0.0),)), "more_canaries[0].weight_percent: 0 is not"),
    (replace(FULL, more_canaries=(Canary(3, 91.0),)), "all weights together are 101, over 100"),
    (replace(FULL, more_canaries=(Canary(3, 1.0),) * 9), "more_canaries: there are 9"),
    (replace(FULL, sticky_key=RequestKey(KeySource.HEADER, "")), "sticky_key: name a header"),
    (
        replace(FULL, sticky_key=RequestKey(KeySource.HEADER, "X User")),
        "not a valid name of a head",
    ),
    (replace(FULL, sticky_key=RequestKey(KeySource.HEADER, "x-bin")), "sticky_key.header: 'x-bin'"),
    (replace(FULL, sticky_key=RequestKey(KeySource.PARAMETER, "p" * 129)), "up to 128 characters"),
    (replace(FULL, matches=(MatchRule(USER, 3),)), "match_rules[0]: give either equals or prefix"),
    (replace(FULL, matches=(MatchRule(USER, 3, "a", "b"),)), "give either equals or prefix"),
    (
        replace(FULL, matches=(MatchRule(USER, 0, "a"),)),
        "match_rules[0].version: 0 is not a version",
    ),
    (replace(FULL, matches=(MatchRule(USER, 3, "a" * 257),)), "has 257 characters, over 256"),
    (replace(FULL, matches=(MatchRule(USER, 3, "a"),) * 33), "match_rules: there are 33"),
    (replace(FULL, shadow=Shadow(1, 5.0)), "shadow.version: 1 is the stable version"),
    (replace(FULL, shadow=Shadow(3, 5.0)), "shadow.version: 3 is a canary"),
    (replace(FULL, shadow=Shadow(4, 101.0)), "shadow.share_percent: 101 is not over 0"),
    (replace(FULL, shadow=Shadow(-4, 1.0)), "shadow.version: -4 is not a version"),
]


@pytest.mark.parametrize(("route", "said"), INVALID)
def test_a_route_that_makes_no_sense_is_refused(route: RouteRecord, said: str) -> None:
    """The message names the field and what is allowed."""
    with pytest.raises(errors.InvalidArgument) as caught:
        update_route(SITUATION, RouteEdit("m", route))
    assert "ROUTE_INVALID" == caught.value.reason
    assert said in caught.value.message
    assert caught.value.violations


@pytest.mark.parametrize(
    "route",
    [
        replace(FULL, more_canaries=(Canary(9, 1.0),)),
        replace(FULL, matches=(MatchRule(USER, 9, "a"),)),
        replace(FULL, shadow=Shadow(9, 1.0)),
    ],
)
def test_a_route_names_versions_that_there_are(route: RouteRecord) -> None:
    """Whatever for."""
    with pytest.raises(errors.NotFound) as caught:
        update_route(SITUATION, RouteEdit("m", route))
    assert "VERSION_NOT_FOUND" == caught.value.reason


def test_a_full_route_is_kept_as_it_was_given() -> None:
    """With the way back, the time and the revision that are the registry's to say."""
    model = update_route(SITUATION, RouteEdit("m", FULL)).models["m"]
    assert model is not None
    assert replace(FULL, previous=4, updated_at=NOW, revision=10) == model.route


def test_a_full_route_passes_every_message_unharmed() -> None:
    """From the record to the message, the client's resource, and back."""
    message = route_to_proto("m", replace(FULL, previous=4))
    resource = resource_messages.route_from_proto(message)

    assert FULL == route_from_proto(resource_messages.route_to_proto(resource))
    assert ("m", 4) == (resource.model, resource.previous)


def test_headers_are_compared_in_lower_case() -> None:
    """Their names have no case on the wire."""
    message = route_to_proto("m", replace(FULL, sticky_key=RequestKey(KeySource.HEADER, "X-User")))

    assert USER == route_from_proto(message).sticky_key


@pytest.mark.parametrize(
    ("number", "named"),
    [
        (1, ["the route (stable)", "the route (match)"]),
        (2, ["the route (canary)", "alias 'champion'"]),
        (3, ["the route (canary)", "the route (match)"]),
        (4, ["the route (shadow)"]),
    ],
)
def test_a_version_that_a_route_names_cannot_be_deleted(number: int, named: list[str]) -> None:
    """The refusal says in which role it is named, each once."""
    model = replace(MODEL, route=FULL)
    context = replace(SITUATION, catalog=replace(CATALOG, models={"m": model}))
    with pytest.raises(errors.FailedPrecondition) as caught:
        delete_version(context, VersionRemoval("m", number))

    assert ("VERSION_IN_USE", ", ".join(named)) == (
        caught.value.reason,
        caught.value.facts["named_by"],
    )
    assert named == references_to(model, number)


JUDGED = [
    (RouteRecord(1, Canary(2, 1.0), more_canaries=(Canary(3, 1.0),)), "SIGNATURE_CHANGED"),
    (RouteRecord(1, matches=(MatchRule(USER, 3, "a"),)), "SIGNATURE_CHANGED"),
    (RouteRecord(1, shadow=Shadow(3, 1.0)), "SIGNATURE_CHANGED"),
    (RouteRecord(1, matches=(MatchRule(USER, 4, "a"),)), "VERSION_NOT_SERVED"),
    (RouteRecord(1, shadow=Shadow(4, 1.0)), "VERSION_NOT_SERVED"),
]


@pytest.mark.parametrize(("route", "reason"), JUDGED)
def test_every_version_of_a_route_takes_its_callers_and_is_served(
    route: RouteRecord, reason: str
) -> None:
    """Or who sets it insists."""
    replicas = [READY if reason == "SIGNATURE_CHANGED" else LOADING]
    with pytest.raises(errors.FailedPrecondition) as caught:
        update_route(REPLACEMENTS, RouteEdit("m", route), replicas)
    allowed = Allowed(signature_change=True, unready=True)
    granted = update_route(REPLACEMENTS, RouteEdit("m", route, allowed=allowed), replicas)

    assert reason == caught.value.reason
    assert 10 == granted.revision


def test_a_shadow_that_is_to_answer_is_judged_anew() -> None:
    """Who let it differ as a shadow did not let callers meet it."""
    route = RouteRecord(1, shadow=Shadow(3, 1.0))
    catalog = REPLACEMENTS.catalog
    model = replace(catalog.models["m"], route=route)
    context = replace(REPLACEMENTS, catalog=replace(catalog, models={"m": model}))
    stays = update_route(context, RouteEdit("m", replace(route, shadow=Shadow(3, 9.0))), [READY])
    with pytest.raises(errors.FailedPrecondition) as caught:
        update_route(context, RouteEdit("m", RouteRecord(1, Canary(3, 1.0))), [READY])

    assert 10 == stays.revision
    assert "SIGNATURE_CHANGED" == caught.value.reason
