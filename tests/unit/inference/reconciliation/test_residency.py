"""What replicas with caps keep loaded: rows of what is loaded, and what goes; and catalogs that follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.state.catalog import Catalog
from headrace.state.desired import Key
from headrace.state.records import AliasRecord, ModelRecord
from headrace.state.route_records import Canary, RouteRecord
from headrace_inference.domain.reconciliation.residency import Caps, Residency, Resident, evictions
from tests.unit.inference.doubles import version

NOW = 100.0


def one(name: str, used_at: float, **options: object) -> Resident:
    """A resident of 10 bytes that goes alone."""
    made = Resident((name, 1), (name, 1), 10, used_at)
    return replace(made, **options)  # type: ignore[arg-type]


A, B, C = one("a", 1.0), one("b", 2.0), one("c", 3.0)
ROUTE = [
    replace(one("r", used, key=("r", number)), unit="r") for number, used in ((1, 0.0), (2, 9.0))
]


@pytest.mark.parametrize(
    ("residents", "caps", "expected"),
    [
        pytest.param([A, B, C], Caps(), [], id="no caps: everything stays"),
        pytest.param([A, B, C], Caps(max_versions=3), [], id="as many as may"),
        pytest.param([C, A, B], Caps(max_versions=2), ["a"], id="the least recently used goes"),
        pytest.param([C, A, B], Caps(max_bytes=10), ["a", "b"], id="so many bytes"),
        pytest.param(
            [replace(A, held=True), B, C], Caps(max_versions=2), ["b"], id="held: the next"
        ),
        pytest.param(
            [replace(A, pinned=True), B, C], Caps(max_versions=2), ["b"], id="pinned: the next"
        ),
        pytest.param(
            [replace(each, held=True) for each in (A, B, C)],
            Caps(max_versions=1),
            [],
            id="all held",
        ),
        pytest.param(
            [replace(A, pinned=True), B], Caps(max_versions=1), [], id="one beside what is pinned"
        ),
        pytest.param(
            [*ROUTE, A, B], Caps(max_versions=3), ["a"], id="a route is as young as its newest"
        ),
        pytest.param(
            [*ROUTE, replace(A, used_at=50.0)],
            Caps(max_versions=2),
            ["r", "r"],
            id="and goes whole",
        ),
        pytest.param(
            [replace(ROUTE[0], held=True), ROUTE[1], replace(A, used_at=50.0)],
            Caps(max_versions=2),
            ["a"],
            id="or, held in one part, not at all",
        ),
        pytest.param(
            ROUTE, Caps(max_versions=1), [], id="a route over the cap would come back at once"
        ),
        pytest.param(
            [A, replace(B, used_at=95.0)], Caps(idle_seconds=10.0), ["a"], id="what idles goes"
        ),
        pytest.param([A], Caps(idle_seconds=10.0), ["a"], id="also the last"),
        pytest.param(
            [replace(A, held=True), replace(B, pinned=True)],
            Caps(idle_seconds=10.0),
            [],
            id="or stays",
        ),
    ],
)
def test_what_goes(residents: list[Resident], caps: Caps, expected: list[str]) -> None:
    """What idles, and while a cap is passed what was used least recently; never what is held or pinned."""
    assert expected == [key[0] for key in evictions(residents, caps, NOW)]


def model(name: str, changed_at: float = 0.0, **options: object) -> ModelRecord:
    """A model whose version 3 is stable, 2 was before, and 1 is an alias's."""
    route = RouteRecord(3, previous=2, updated_at=changed_at)
    made = ModelRecord(name, 0.0, route=route, aliases={"old": AliasRecord(1, 0.0)})
    return replace(made, **options)  # type: ignore[arg-type]


def catalog_of(*models: ModelRecord) -> Catalog:
    """These models, each with three versions."""
    versions = {
        (each.name, number): version(number, each.name) for each in models for number in (1, 2, 3)
    }
    return Catalog(1, {each.name: each for each in models}, versions)


class Followed:
    """A residency that has followed catalogs."""

    def __init__(self, caps: Caps, first: Catalog) -> None:
        self.residency = Residency(caps, lambda _: 10)
        self.catalog = Catalog(known=False)
        self.now = 0.0
        self.follow(first)

    def follow(self, catalog: Catalog) -> set[Key]:
        """What is to be loaded after the next catalog."""
        touched = catalog.models_differing(self.catalog)
        self.catalog, self.now = catalog, self.now + 1.0
        self.residency.follow(catalog, touched, self.now)
        return set(self.residency.ranks)


def keys(name: str, *numbers: int) -> set[Key]:
    """Versions of a model."""
    return {(name, number) for number in numbers}


def test_at_the_start_the_most_recently_changed_models_are_loaded_that_fit() -> None:
    """Whole routes, and pinned models before all others."""
    first = catalog_of(model("a", 1.0), model("b", 9.0), model("c", 2.0, pinned=True))
    followed = Followed(Caps(max_versions=5), first)
    assert keys("c", 1, 2, 3) | keys("b", 2, 3) == set(followed.residency.ranks)


def test_what_a_change_asks_for_is_loaded() -> None:
    """A pushed version, a moved route with its canary and its former version, a model that is pinned."""
    a, b = model("a"), model("b")
    followed = Followed(Caps(max_versions=1), catalog_of(a, b))
    before = set(followed.residency.ranks)
    pushed = followed.catalog.updated(2, {}, {("b", 4): version(4, "b")})
    assert keys("b", 4) == followed.follow(pushed) - before
    assert a.route is not None
    routed = replace(a, route=replace(a.route, canary=Canary(1, 10.0)))
    assert keys("a", 1, 2, 3) <= followed.follow(pushed.updated(3, {"a": routed}, {}))
    pinned = pushed.updated(4, {"b": replace(b, pinned=True)}, {})
    assert keys("b", 1, 2, 3, 4) <= followed.follow(pinned)


def test_a_request_brings_what_its_route_needs() -> None:
    """The version that it waits for before all others; an alias's version comes alone."""
    first = catalog_of(model("a"), model("b"))
    followed = Followed(Caps(idle_seconds=1.0), first)
    for key in list(followed.residency.ranks):
        followed.residency.drop(key)
    followed.residency.summon(("b", 2), 5.0)
    assert keys("b", 2, 3) == set(followed.residency.ranks)
    assert ("b", 2) == min(followed.residency.ranks, key=followed.residency.ranks.__getitem__)
    followed.residency.summon(("a", 1), 6.0)
    assert keys("a", 1) == {key for key in followed.residency.ranks if key[0] == "a"}


def test_what_the_catalog_wants_no_more_is_not_loaded() -> None:
    """With caps as without."""
    for caps in (Caps(), Caps(max_versions=9)):
        followed = Followed(caps, catalog_of(model("a"), model("b")))
        assert keys("a", 1, 2, 3) == followed.follow(followed.catalog.updated(2, {"b": None}, {}))
        assert not followed.residency.wants(("b", 3))
