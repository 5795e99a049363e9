"""How the client changes a route."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import errors
from headrace.client import Route
from headrace.client.routes import rolled_back, with_changes
from headrace.state.route_records import Canary

PLAIN = Route("digits", stable=1, previous=None, etag="7")
TRIAL = Route("digits", stable=2, canary=Canary(3, 10.0), previous=1, etag="8")


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
