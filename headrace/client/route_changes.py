"""Pure functions from the route that was read to the one to set."""

from __future__ import annotations

from dataclasses import replace

from headrace import errors
from headrace.client.resources import Route
from headrace.state.route_records import Canary, Shadow


def rolled_back(route: Route) -> Route:
    """The route with what was stable before, and without canaries, match rules and shadow.

    After it, every request that names no version goes there. Raises FailedPrecondition
    (NO_PREVIOUS_VERSION).
    """
    if route.previous is None:
        raise errors.FailedPrecondition(
            "NO_PREVIOUS_VERSION",
            f"the route of {route.model} was never moved from version {route.stable}; "
            "set it to a version instead",
        )
    return replace(
        route, stable=route.previous, canary=None, more_canaries=(), matches=(), shadow=None
    )


def with_changes(
    route: Route,
    *,
    stable: int | None = None,
    canary: int | None = None,
    weight: float | None = None,
    end_trial: bool = False,
) -> Route:
    """The route with what is given changed; a canary or shadow that becomes stable has ended its trial.

    Raises InvalidArgument (CANARY_INCOMPLETE) for a weight without a canary, or the reverse.
    """
    target = route.stable if stable is None else stable
    if end_trial:
        return _moved(replace(route, canary=None, more_canaries=()), target)
    if canary is None and weight is None:
        return _moved(route, target)
    trial = with_weight(route.canary, canary, weight)
    if canary is None and trial.version == target:
        return _moved(route, target)
    return replace(_moved(route, target), canary=trial)


def _moved(route: Route, stable: int) -> Route:
    """The route with this version as stable; where it was on trial or a shadow, it is that no more."""
    canaries = [
        one for one in (route.canary, *route.more_canaries) if one and one.version != stable
    ]
    shadow = route.shadow if route.shadow and route.shadow.version != stable else None
    return replace(
        route,
        stable=stable,
        canary=canaries[0] if canaries else None,
        more_canaries=tuple(canaries[1:]),
        shadow=shadow,
    )


def with_weight(now: Canary | None, version: int | None, weight: float | None) -> Canary:
    """The canary with what is given changed. Raises InvalidArgument (CANARY_INCOMPLETE)."""
    version = now.version if version is None and now else version
    weight = now.weight_percent if weight is None and now else weight
    if version is None or weight is None:
        raise errors.InvalidArgument(
            "CANARY_INCOMPLETE", "a canary needs a version and a weight in percent; give both"
        )
    return Canary(version, weight)


def with_share(now: Shadow | None, version: int | None, share: float | None) -> Shadow:
    """The shadow with what is given changed. Raises InvalidArgument (SHADOW_INCOMPLETE)."""
    version = now.version if version is None and now else version
    share = now.share_percent if share is None and now else share
    if version is None or share is None:
        raise errors.InvalidArgument(
            "SHADOW_INCOMPLETE", "a shadow needs a version and a share in percent; give both"
        )
    return Shadow(version, share)
