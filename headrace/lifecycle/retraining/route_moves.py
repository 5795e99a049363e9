"""The routes that a run asks for: pure, from the route that was read."""

from __future__ import annotations

from headrace.client.resources import Route
from headrace.client.route_changes import with_changes
from headrace.errors import FailedPrecondition


def with_trial(route: Route, version: int, weight: float) -> Route:
    """The route with the version on trial. Raises FailedPrecondition (ROUTE_BUSY) beside another trial."""
    others = [
        one.version
        for one in (route.canary, *route.more_canaries)
        if one is not None and one.version != version
    ]
    if others:
        raise FailedPrecondition(
            "ROUTE_BUSY",
            f"version {others[0]} of {route.model} is on trial already: end that first (`headrace route "
            f"{route.model} --no-canary`), or let it end",
        )
    return with_changes(route, canary=version, weight=weight)


def without_trial(route: Route, version: int) -> Route:
    """The route without the version on trial; all else stays."""
    if route.canary is None or route.canary.version != version:
        return route
    return with_changes(route, end_trial=True)


def promoted(route: Route, version: int) -> Route:
    """The route with the version as stable."""
    return with_changes(route, stable=version)
