"""The policy: rows of what is and what is wanted, and the one action that follows."""

from __future__ import annotations

import pytest

from headrace.state.desired import desired
from headrace.state.route_records import Canary
from headrace_inference.domain.reconciliation.policy import (
    Abandon,
    Action,
    Forget,
    Load,
    Unload,
    VersionState,
    VersionView,
    next_action,
    next_retry,
)
from tests.unit.inference.doubles import catalog

ONE, TWO, THREE = ("m", 1), ("m", 2), ("m", 3)
ABSENT, LOADING, READY, UNLOADING, FAILED = VersionState


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        pytest.param([], None, id="nothing known, nothing to do"),
        pytest.param([VersionView(ONE, ABSENT, 0)], Load(ONE), id="wanted and absent: load"),
        pytest.param([VersionView(ONE, READY, 0)], None, id="wanted and ready: done"),
        pytest.param(
            [VersionView(ONE, ABSENT, 4), VersionView(TWO, ABSENT, 0)],
            Load(TWO),
            id="what the route names loads first",
        ),
        pytest.param(
            [
                VersionView(ONE, LOADING, 0),
                VersionView(TWO, LOADING, 0),
                VersionView(THREE, ABSENT, 0),
            ],
            None,
            id="no more loads than allowed at a time",
        ),
        pytest.param(
            [VersionView(ONE, READY, None), VersionView(TWO, ABSENT, 0)],
            Load(TWO),
            id="load before unload",
        ),
        pytest.param([VersionView(ONE, READY, None)], Unload(ONE), id="unwanted: unload"),
        pytest.param(
            [VersionView(ONE, READY, None, answers=True), VersionView(TWO, LOADING, 0)],
            None,
            id="what answers is kept while its successor loads",
        ),
        pytest.param(
            [VersionView(ONE, READY, None, answers=True), VersionView(TWO, FAILED, 0)],
            None,
            id="what answers is kept when its successor failed",
        ),
        pytest.param(
            [VersionView(ONE, UNLOADING, 0)], None, id="wanted again while unloading: wait"
        ),
        pytest.param(
            [VersionView(ONE, FAILED, None)], Forget(ONE), id="failed and unwanted: forget"
        ),
        pytest.param(
            [VersionView(ONE, LOADING, None), VersionView(TWO, ABSENT, 0)],
            Abandon(ONE),
            id="loading and unwanted: end it before anything else",
        ),
        pytest.param([VersionView(ONE, FAILED, 0)], None, id="failed for good: stay"),
        pytest.param([VersionView(ONE, FAILED, 0, retry_at=11.0)], None, id="retry not due yet"),
        pytest.param([VersionView(ONE, FAILED, 0, retry_at=10.0)], Load(ONE), id="retry due"),
    ],
)
def test_next_action(views: list[VersionView], expected: Action | None) -> None:
    """The same versions at the same time give the one right action."""
    actual = next_action(views, now=10.0, max_loading=2)

    assert expected == actual


def test_next_retry_is_the_earliest_of_those_wanted() -> None:
    """Only failed versions that are wanted and may be tried again count."""
    views = [
        VersionView(ONE, FAILED, None, retry_at=1.0),
        VersionView(TWO, FAILED, 0, retry_at=5.0),
        VersionView(THREE, FAILED, 0, retry_at=3.0),
    ]

    assert next_retry(views) == 3.0


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(catalog(1, 2, 3), {("m", 3): 4}, id="the newest is kept"),
        pytest.param(catalog(1, 2, 3, keep_latest=0), {}, id="none is kept if so set"),
        pytest.param(catalog(1, 2, 3, stable=1), {("m", 1): 0, ("m", 3): 4}, id="stable"),
        pytest.param(
            catalog(1, 2, 3, stable=2, previous=1, canary=Canary(3, 10.0)),
            {("m", 2): 0, ("m", 3): 1, ("m", 1): 3},
            id="canary and previous",
        ),
        pytest.param(
            catalog(1, 2, 3, stable=3, aliases={"old": 1}),
            {("m", 3): 0, ("m", 1): 2},
            id="what an alias names",
        ),
        pytest.param(
            catalog(2, stable=2, previous=1), {("m", 2): 0}, id="a deleted previous is not"
        ),
    ],
)
def test_desired(state: object, expected: dict[tuple[str, int], int]) -> None:
    """What route, aliases and recency name is wanted, ranked."""
    assert expected == desired(state)  # type: ignore[arg-type]  # rows are catalogs


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        pytest.param(
            [
                VersionView(ONE, LOADING, 0),
                VersionView(TWO, LOADING, 0, yielded=True),
                VersionView(THREE, ABSENT, 4),
            ],
            Load(THREE),
            id="a load that yielded takes nobody's place",
        ),
        pytest.param(
            [
                VersionView(ONE, LOADING, 0),
                VersionView(TWO, LOADING, 0),
                VersionView(THREE, ABSENT, 4, quick=True),
            ],
            Load(THREE),
            id="a quick load waits for no slow one",
        ),
        pytest.param(
            [
                VersionView(ONE, LOADING, 0, quick=True),
                VersionView(TWO, ABSENT, 0, quick=True),
                VersionView(THREE, ABSENT, 4),
            ],
            Load(THREE),
            id="nor a slow load for quick ones",
        ),
        pytest.param(
            [VersionView(ONE, LOADING, 0, quick=True), VersionView(TWO, ABSENT, 0, quick=True)],
            None,
            id="quick loads have a bound of their own",
        ),
    ],
)
def test_places_of_loads(views: list[VersionView], expected: Action | None) -> None:
    """Slow loads and quick ones are counted apart, and those that yielded not at all."""
    assert expected == next_action(views, now=10.0, max_loading=2, max_quick=1)
