"""The routes that a run asks for: pure, from the route that was read."""

from __future__ import annotations

from dataclasses import replace

from headrace.client.resources import Route
from headrace.client.route_changes import with_changes
from headrace.errors import FailedPrecondition

ROUTE_BUSY = "ROUTE_BUSY"


def is_on_trial(route: Route, version: int) -> bool:
    """Return whether a version is among the canaries."""
    return version in _trials(route)


def with_trial(route: Route, version: int, weight: float) -> Route:
    """The route with the version on trial. Raises FailedPrecondition (ROUTE_BUSY) beside another trial."""
    if route.stable == version:
        return route
    others = [number for number in _trials(route) if number != version]
    if others:
        raise FailedPrecondition(
            ROUTE_BUSY,
            f"version {others[0]} of {route.model} is on trial already: end that first (`headrace route "
            f"{route.model} --no-canary`), or let it end",
        )
    return with_changes(route, canary=version, weight=weight)


def without_trial(route: Route, version: int) -> Route:
    """The route without the version on trial; all else stays."""
    trials = [one for one in (route.canary, *route.more_canaries) if one is not None]
    left = [one for one in trials if one.version != version]
    if len(left) == len(trials):
        return route
    return replace(route, canary=left[0] if left else None, more_canaries=tuple(left[1:]))


def promoted(route: Route, version: int) -> Route:
    """The route with the version as stable."""
    return route if route.stable == version else with_changes(route, stable=version)


def moved_back(route: Route, version: int, before: int) -> Route:
    """The route as before the version came: without its trial, and with `before` as stable unless 0."""
    if route.stable == version and before not in (0, version):
        route = with_changes(route, stable=before)
    return without_trial(route, version)


def _trials(route: Route) -> list[int]:
    return [one.version for one in (route.canary, *route.more_canaries) if one is not None]
