"""Which version answers which names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest

from headrace.errors import HeadraceError, InvalidArgument, NotFound, Unavailable
from headrace.state.catalog import Catalog
from headrace.state.records import AliasRecord, LoadState, ModelRecord
from headrace.state.route_records import Canary, RouteRecord
from headrace_inference.domain.routing.model_names import ModelNames
from headrace_inference.domain.routing.table import RoutingTable, build_table
from tests.unit.inference.doubles import catalog, served, version


@contextmanager
def table(
    state: Catalog, *ready: int, former: dict[str, int] | None = None
) -> Iterator[RoutingTable]:
    """A table in which these versions are ready."""
    loaded = {("m", number): served(version(number)) for number in ready}
    states = dict.fromkeys(loaded, (LoadState.READY, ""))
    try:
        yield build_table(
            state, loaded, states, RoutingTable({"m": ModelNames(effective=former or {})})
        )
    finally:
        for item in loaded.values():
            item.close()


def picked(routes: RoutingTable, name: str, number: str = "") -> tuple[int, str]:
    """The number and the reason of a pick."""
    chosen, reason = routes.pick(name, number)
    return chosen.record.number, reason


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("m", "", (2, "stable")),
        ("m", "1", (1, "pinned")),
        ("m", "2", (2, "pinned")),
        ("m@old", "", (1, "alias")),
        ("m", "old", (1, "alias")),
    ],
)
def test_names_lead_to_versions(name: str, number: str, expected: tuple[int, str]) -> None:
    """Route, number and alias lead to their versions, and the reason says which it was."""
    with table(catalog(1, 2, stable=2, aliases={"old": 1}), 1, 2) as routes:
        assert expected == picked(routes, name, number)


@pytest.mark.parametrize(
    ("name", "number", "error", "reason"),
    [
        ("other", "", NotFound, "MODEL_NOT_FOUND"),
        ("m", "9", NotFound, "VERSION_NOT_FOUND"),
        ("m", "nope", NotFound, "ALIAS_NOT_FOUND"),
        ("m", "-1", InvalidArgument, "VERSION_INVALID"),
        ("m@old", "1", InvalidArgument, "VERSION_AMBIGUOUS"),
        ("m", "3", Unavailable, "VERSION_NOT_READY"),
        ("m", "9" * 40, NotFound, "VERSION_NOT_FOUND"),
    ],
)
def test_names_that_lead_nowhere_say_why(
    name: str, number: str, error: type[HeadraceError], reason: str
) -> None:
    """Every kind of name that leads nowhere has its own reason."""
    with (
        table(catalog(1, 2, 3, stable=2, aliases={"old": 1}), 1, 2) as routes,
        pytest.raises(error) as caught,
    ):
        routes.pick(name, number)

    assert reason == caught.value.reason


def test_a_successor_that_is_not_ready_does_not_take_over() -> None:
    """While the route's stable version is not ready, the one that answered before is held."""
    with table(catalog(1, 2, stable=2, previous=1), 1, former={"": 1}) as routes:
        assert picked(routes, "m") == (1, "held")


def test_the_version_held_is_the_one_that_answered_here() -> None:
    """Two moves in a row hold what really answered, not what was never ready."""
    with table(catalog(1, 2, 3, stable=3, previous=2), 1, former={"": 1}) as routes:
        assert picked(routes, "m") == (1, "held")


def test_a_fresh_replica_holds_the_previous_version() -> None:
    """A replica that never served the model falls back to what the route named before."""
    with table(catalog(1, 2, stable=2, previous=1), 1) as routes:
        assert picked(routes, "m") == (1, "held")


def test_an_alias_moved_to_a_version_that_is_not_ready_is_held_too() -> None:
    """Aliases move as safely as routes."""
    state = catalog(1, 2, stable=1, aliases={"a": 2})
    with table(state, 1, former={"a": 1}) as routes:
        assert picked(routes, "m@a") == (1, "held")


@pytest.mark.parametrize("weight", [0.5, 10.0, 33.3, 50.0, 100.0])
def test_a_canary_gets_its_share(weight: float) -> None:
    """Of 1000 requests the canary gets its weight, off by one at most."""
    with table(catalog(1, 2, stable=1, canary=Canary(2, weight)), 1, 2) as routes:
        counts = Counter(picked(routes, "m") for _ in range(1000))

    assert abs(counts[2, "canary"] - 10 * weight) <= 1


def test_a_canary_that_is_not_ready_gets_nothing() -> None:
    """Stable answers all requests until the canary is ready."""
    with table(catalog(1, 2, stable=1, canary=Canary(2, 50.0)), 1) as routes:
        counts = Counter(picked(routes, "m") for _ in range(10))

    assert counts == {(1, "stable"): 10}


def test_another_table_owes_the_canary_what_the_last_one_did() -> None:
    """Whatever else changes, also while the canary is not ready here, its turn comes."""
    state = catalog(1, 2, stable=1, canary=Canary(2, 40.0))
    one, two = served(version(1)), served(version(2))
    tables = RoutingTable()
    chosen = []
    try:
        for place in range(10):
            ready = {("m", 1): one} | ({("m", 2): two} if place % 2 else {})
            tables = build_table(state, ready, {}, tables)
            chosen += [picked(tables, "m")[0]] if place % 2 else []
    finally:
        one.close()
        two.close()

    assert [1, 1, 2, 1, 2] == chosen


def test_a_request_whose_version_went_keeps_its_turn() -> None:
    """Routed again, it goes where its turn said, and the next one's turn is as it was."""
    with table(catalog(1, 2, stable=1, canary=Canary(2, 50.0)), 1, 2) as routes:
        target = routes.target("m", "")
        turns = [target.pick()[1] for _ in range(2)]
        again = [target.pick_again(reason, 2)[1] for reason in turns]
        after = [target.pick()[1] for _ in range(2)]

    assert ["stable", "canary"] == turns == again == after


def test_a_turn_is_one_act_for_threads() -> None:
    """Eight threads take turns at once, and give some back: the canary's share is exact."""
    with table(catalog(1, 2, stable=1, canary=Canary(2, 25.0)), 1, 2) as routes:
        target = routes.target("m", "")

        def take(_: int) -> Counter[str]:
            reasons = [target.pick()[1] for _ in range(2000)]
            for reason in reasons[:1000]:
                target.give_back(reason, 2)
            return Counter(reasons[1000:])

        with ThreadPoolExecutor(8) as threads:
            counts = sum(threads.map(take, range(8)), Counter[str]())
        left = Counter(target.pick()[1] for _ in range(8000))

    assert abs(counts["canary"] + left["canary"] - 4000) <= 1


def test_a_version_number_is_shown_as_it_was_sent() -> None:
    """Also one that is longer than any there is."""
    number = "1234567890" * 4
    with (
        table(catalog(1, stable=1), 1) as routes,
        pytest.raises(NotFound, match=f"version {number} is not found"),
    ):
        routes.pick("m", number)


def leads(routes: RoutingTable) -> dict[str, tuple[object, object]]:
    """What all names lead to."""
    return {model: (names.targets, names.effective) for model, names in routes.names.items()}


def test_a_table_resolves_anew_what_changed_and_keeps_the_rest() -> None:
    """Table after table comes to what one built from nothing is, and untouched names keep their target."""
    with ExitStack() as stack:
        models = {
            key: stack.enter_context(closing(served(version(key[1], key[0]))))
            for key in (("a", 1), ("a", 2), ("b", 1), ("b", 2))
        }
        records = {key: one.record for key, one in models.items()}
        route = RouteRecord(stable=1, canary=Canary(2, 30.0))
        a = ModelRecord("a", 0.0, route=route, aliases={"old": AliasRecord(1, 0.0)})
        b = ModelRecord("b", 0.0, route=RouteRecord(stable=1))
        moved = replace(b, route=RouteRecord(stable=2, previous=1))
        first = Catalog(1, {"a": a, "b": b}, records)
        steps = [
            (first, {key: models[key] for key in (("a", 1), ("b", 1))}),
            (first, models),
            (first.updated(2, {"b": moved}, {}), models),
            (first.updated(3, {"b": None}, {("b", 1): None, ("b", 2): None}), models),
        ]
        tables = [RoutingTable()]
        for catalog, ready in steps:
            tables.append(build_table(catalog, dict(ready), {}, tables[-1]))
            anew = build_table(
                catalog,
                ready,
                {},
                RoutingTable(
                    {name: replace(names, targets={}) for name, names in tables[-2].names.items()}
                ),
            )
            assert leads(anew) == leads(tables[-1])
        assert tables[2].names["a"] is tables[3].names["a"] is tables[4].names["a"]
        assert ["a"] == list(tables[4].names)
