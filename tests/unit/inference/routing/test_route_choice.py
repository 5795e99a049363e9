"""Routes that look at requests: match rules, sticky keys, several canaries."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.state.catalog import Catalog
from headrace.state.records import ModelRecord
from headrace.state.route_records import (
    Canary,
    KeySource,
    MatchRule,
    RequestKey,
    RouteRecord,
    Shadow,
)
from headrace_inference.domain.routing.request_texts import Headers, place_of
from headrace_inference.domain.routing.table import RoutingTable, build_table
from headrace_inference.domain.routing.targets import SelectiveTarget, SingleTarget, WeightedTarget
from tests.unit.inference.doubles import served, version

USER = RequestKey(KeySource.HEADER, "x-user")
TIER = RequestKey(KeySource.PARAMETER, "tier")
ALL = (1, 2, 3, 4)


@dataclass
class Header:
    """What a request says of itself."""

    parameters: Mapping[str, bool | float | str | None] = field(default_factory=dict)


@dataclass
class Request:
    """What a route may look at."""

    header: Header = field(default_factory=Header)
    metadata: Headers = ()


def by(user: str) -> Request:
    """A request of a user."""
    return Request(metadata=(("X-User", user),))


def saying(**parameters: bool | float | str | None) -> Request:
    """A request with parameters."""
    return Request(Header(parameters))


@contextmanager
def table(
    route: RouteRecord, *ready: int, catalog_numbers: tuple[int, ...] = ALL
) -> Iterator[RoutingTable]:
    """A table of a model with this route, of which these versions are ready."""
    catalog = Catalog(
        1,
        {"m": ModelRecord("m", 0.0, route=route)},
        {("m", number): version(number) for number in catalog_numbers},
    )
    with ExitStack() as stack:
        versions = {
            ("m", number): stack.enter_context(closing(served(version(number)))) for number in ready
        }
        yield build_table(catalog, versions, {}, RoutingTable())


def picked(routes: RoutingTable, request: Request) -> tuple[int, str]:
    """The number and the reason of a pick."""
    chosen, reason = routes.target("m", "").pick(request)
    return chosen.record.number, reason


RULES = RouteRecord(
    1,
    matches=(
        MatchRule(USER, 2, equals="ada"),
        MatchRule(TIER, 3, prefix="be"),
        MatchRule(USER, 4, prefix="a"),
        MatchRule(RequestKey(KeySource.PARAMETER, "n"), 4, equals="7"),
        MatchRule(RequestKey(KeySource.PARAMETER, "on"), 4, equals="true"),
    ),
)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (by("ada"), (2, "matched")),
        (by("alan"), (4, "matched")),
        (by("Ada"), (1, "stable")),
        (by(""), (1, "stable")),
        (Request(), (1, "stable")),
        (saying(tier="beta"), (3, "matched")),
        (saying(tier="b"), (1, "stable")),
        (saying(n=7), (4, "matched")),
        (saying(n=8), (1, "stable")),
        (saying(on=True), (4, "matched")),
        (saying(on=None), (1, "stable")),
        (Request(Header({"tier": "beta"}), (("x-user", "ada"),)), (2, "matched")),
        (Request(metadata=(("x-user", "ada"), ("x-user", "bob"))), (2, "matched")),
        (Request(metadata=(("x-user", "bob"), ("x-user", "ada"))), (1, "stable")),
        (Request(metadata=(("x-user", b"ada"),)), (1, "stable")),
    ],
)
def test_the_first_rule_that_fits_decides(request_: Request, expected: tuple[int, str]) -> None:
    """By a header, whatever the case of its name, or by a parameter; else stable answers."""
    with table(RULES, *ALL) as routes:
        assert expected == picked(routes, request_)


def test_a_rule_whose_version_is_not_ready_fits_nothing() -> None:
    """The next one may, or the request goes where others go."""
    with table(RULES, 1, 4) as routes:
        assert (4, "matched") == picked(routes, by("ada"))
        assert (1, "stable") == picked(routes, saying(tier="beta"))


def test_names_with_a_version_or_an_alias_are_not_chosen_for() -> None:
    """Who asks for version 1 gets it, whatever the rules say."""
    with table(RULES, *ALL) as routes:
        chosen, reason = routes.target("m", "1").pick(by("ada"))
    assert (1, "pinned") == (chosen.record.number, reason)


def sticky(*weights: float) -> RouteRecord:
    """A route by user with canaries 2, 3, … of these weights."""
    canaries = [Canary(number, weight) for number, weight in enumerate(weights, 2) if weight]
    return RouteRecord(
        1, canaries[0] if canaries else None, more_canaries=tuple(canaries[1:]), sticky_key=USER
    )


USERS = [f"user-{number}" for number in range(4000)]


@pytest.mark.parametrize("weight", [1.0, 10.0, 50.0, 90.0])
def test_a_canary_gets_its_share_of_the_keys(weight: float) -> None:
    """Of thousands of keys, within what chance allows: four standard deviations."""
    with table(sticky(weight), *ALL) as routes:
        counts = Counter(picked(routes, by(user))[0] for user in USERS)

    share = weight / 100
    tolerance = 4 * (share * (1 - share) * len(USERS)) ** 0.5
    assert abs(counts[2] - share * len(USERS)) <= tolerance
    assert len(USERS) == counts[1] + counts[2]


@given(
    st.text(min_size=1, max_size=40).filter(
        lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)
    ),
    st.floats(0.1, 99.9),
    st.floats(0.1, 99.9),
)
def test_raising_a_weight_never_moves_a_key_back(key: str, one: float, other: float) -> None:
    """A key on the canary stays there at every higher weight, and one on stable at every lower one."""
    low, high = sorted((one, other))
    with table(sticky(low), 1, 2) as routes:
        before = picked(routes, by(key))[0]
    with table(sticky(high), 1, 2) as routes:
        after = picked(routes, by(key))[0]

    assert before <= after


@given(
    st.text(min_size=1, max_size=20),
    st.floats(0.1, 49.9),
    st.floats(0.1, 49.9),
    st.floats(0.1, 50.0),
)
def test_raising_one_of_two_weights_sends_no_key_back_to_stable(
    key: str, one: float, other: float, second: float
) -> None:
    """Whichever canary a key is on, and it stays on the one that is raised."""
    low, high = sorted((one, other))
    with table(sticky(low, second), 1, 2, 3) as routes:
        before = picked(routes, by(key))[0]
    with table(sticky(high, second), 1, 2, 3) as routes:
        after = picked(routes, by(key))[0]
    with table(sticky(second, high), 1, 2, 3) as routes:
        raised = picked(routes, by(key))[0]
    with table(sticky(second, low), 1, 2, 3) as routes:
        lowered = picked(routes, by(key))[0]

    assert after > 1 or before == 1
    assert before != 2 or after == 2
    assert raised == lowered or (lowered, raised) == (1, 3)


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_text_has_one_place(model: str, text: str) -> None:
    """From 0 up to but not 100, whatever the text: also one that is not valid Unicode."""
    assert 0.0 <= place_of(model, text) < 100.0
    assert place_of(model, text) == place_of(model, text)


def test_places_are_the_same_for_ever_and_in_every_process() -> None:
    """They are written down here: another release of Headrace must not move keys."""
    script = (
        "from headrace_inference.domain.routing.request_texts import place_of;"
        "print([round(place_of('m', text), 9) for text in ('ada', 'user-1', 'ü')], place_of('n', 'ada'))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert PLACES == ran.stdout.strip()


PLACES = "[6.672500714, 33.7106352, 31.633012674] 43.9582851776507"


def test_a_request_without_the_key_goes_by_weight() -> None:
    """Exactly its share, as without a sticky key; those with one take no turns."""
    with table(sticky(25.0), 1, 2) as routes:
        counts = Counter[tuple[int, str]]()
        for user in USERS[:400]:
            counts[picked(routes, Request())] += 1
            picked(routes, by(user))

    assert {(1, "stable"): 300, (2, "canary"): 100} == counts


def test_keys_of_a_canary_that_is_not_ready_go_to_stable_until_it_is() -> None:
    """And nobody else moves meanwhile."""
    with table(sticky(30.0, 30.0), *ALL) as routes:
        full = {user: picked(routes, by(user))[0] for user in USERS[:200]}
    with table(sticky(30.0, 30.0), 1, 3) as routes:
        partly = {user: picked(routes, by(user)) for user in USERS[:200]}

    assert {
        user: (1 if number == 2 else number, "sticky") for user, number in full.items()
    } == partly
    assert {1, 2, 3} == set(full.values())


def test_several_canaries_get_their_shares_by_turns() -> None:
    """Each to a request or two in any stretch."""
    route = RouteRecord(1, Canary(2, 20.0), more_canaries=(Canary(3, 30.0), Canary(4, 1.0)))
    with table(route, *ALL) as routes:
        counts = Counter[int]()
        for place in range(1, 1001):
            counts[picked(routes, Request())[0]] += 1
            assert abs(counts[2] - 0.2 * place) <= 2
            assert abs(counts[3] - 0.3 * place) <= 2
            assert abs(counts[4] - 0.01 * place) <= 2


def test_turns_of_several_canaries_are_kept_and_given_back() -> None:
    """Picked again a request goes where it went; a refused one leaves the turns as they were."""
    route = RouteRecord(1, Canary(2, 40.0), more_canaries=(Canary(3, 40.0),))
    with table(route, *ALL) as routes:
        plain = [picked(routes, Request()) for _ in range(20)]
    with table(route, *ALL) as routes:
        target = routes.target("m", "")
        mixed = []
        for _ in range(20):
            chosen, reason = target.pick()
            assert (chosen, reason) == target.pick_again(reason, chosen.record.number)
            mixed.append((chosen.record.number, reason))
            chosen, reason = target.pick()
            target.give_back(reason, chosen.record.number)

    assert plain == mixed


def test_a_request_that_is_routed_again_is_looked_at_again() -> None:
    """A match and a key lead where they led, without a turn."""
    route = RouteRecord(1, Canary(2, 50.0), sticky_key=USER, matches=RULES.matches[:1])
    with table(route, *ALL) as routes:
        target = routes.target("m", "")
        for request in (by("ada"), by("bob"), by("eve"), by("mallory")):
            chosen, reason = target.pick(request)
            assert (chosen, reason) == target.pick_again(reason, chosen.record.number, request)
            target.give_back(reason, chosen.record.number)
        turns = [target.pick()[1] for _ in range(4)]

    assert ["stable", "canary", "stable", "canary"] == turns


def test_a_shadow_is_due_for_its_share_of_the_requests_by_route_only() -> None:
    """Also of those that a canary answers; names with a version or an alias have none."""
    route = RouteRecord(1, Canary(2, 50.0), shadow=Shadow(4, 30.0))
    with table(route, *ALL) as routes:
        shadow = routes.target("m", "").shadow
        assert shadow is not None
        due = [shadow.is_due() for _ in range(100)]
        assert (4, None) == (shadow.served.record.number, routes.target("m", "1").shadow)

    assert 30 == sum(due)


def test_a_shadow_that_is_not_ready_gets_nothing() -> None:
    """And the names lead where they led."""
    with table(RouteRecord(1, shadow=Shadow(4, 30.0)), 1) as routes:
        assert routes.target("m", "").shadow is None
        assert (1, "stable") == picked(routes, Request())


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        (RouteRecord(1), SingleTarget),
        (RouteRecord(1, sticky_key=USER), SingleTarget),
        (RouteRecord(1, shadow=Shadow(2, 5.0)), SingleTarget),
        (RouteRecord(1, Canary(2, 5.0)), WeightedTarget),
        (RouteRecord(1, Canary(2, 5.0), sticky_key=USER), SelectiveTarget),
        (RULES, SelectiveTarget),
    ],
)
def test_a_route_costs_what_it_uses(route: RouteRecord, kind: type) -> None:
    """Requests are looked at where a rule or a key asks for that, and nowhere else."""
    with table(route, *ALL) as routes:
        assert kind is type(routes.target("m", ""))


def test_headers_are_looked_through_once_for_a_key_and_only_when_asked_for() -> None:
    """A route whose rules look at parameters alone never reads them."""
    looked: list[int] = []

    class Lazy:
        header = Header({"tier": "x"})

        @property
        def metadata(self) -> Headers:
            looked.append(1)
            return [("x-user", "eve")]

    by_tier = RouteRecord(1, matches=(MatchRule(TIER, 2, "a"), MatchRule(TIER, 2, "b")))
    with table(by_tier, *ALL) as routes:
        assert "stable" == routes.target("m", "").pick(Lazy())[1]
        assert [] == looked
    by_user = RouteRecord(1, matches=tuple(MatchRule(USER, 2, text) for text in "abc"))
    with table(by_user, *ALL) as routes:
        assert "stable" == routes.target("m", "").pick(Lazy())[1]
        assert [1] == looked
