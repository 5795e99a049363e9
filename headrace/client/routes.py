"""A model's route, as a client reads and changes it."""

from __future__ import annotations

from dataclasses import replace

from headrace import errors
from headrace.client import convert
from headrace.client.catalog import CatalogCalls
from headrace.client.resources import Route
from headrace.registry.v1 import registry_service_pb2
from headrace.resource_names import route_resource
from headrace.state.route_records import Canary


class RouteCalls(CatalogCalls):
    """Read, set, change and roll back a route; every change is one step."""

    async def route(self, model: str, *, timeout_seconds: float | None = None) -> Route:
        """A model's route. Raises NotFound, and FailedPrecondition before its first version."""
        request = registry_service_pb2.GetRouteRequest(name=route_resource(model))
        found = await self._calls.unary(
            "registry", self._registry.GetRoute, request, timeout_seconds=timeout_seconds
        )
        return convert.route_from_proto(found)

    async def set_route(
        self,
        model: str,
        stable: int | str,
        canary: int | str | None = None,
        weight: float | None = None,
        *,
        etag: str = "",
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route: `weight` percent to `canary`, the rest to `stable`; numbers or aliases.

        Raises NotFound, Aborted where the etag is not the present one, InvalidArgument for a canary
        without a weight; FailedPrecondition for a version that would break callers (SIGNATURE_CHANGED)
        and for one that no replica serves (VERSION_NOT_SERVED), unless allowed.
        """
        if (canary is None) != (weight is None):
            raise _incomplete()
        wanted = Route(
            model, await self.resolve(model, stable, timeout_seconds=timeout_seconds), etag=etag
        )
        if canary is not None and weight is not None:
            number = await self.resolve(model, canary, timeout_seconds=timeout_seconds)
            wanted = replace(wanted, canary=Canary(number, weight))
        return await self.put_route(
            wanted,
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
            timeout_seconds=timeout_seconds,
        )

    async def put_route(
        self,
        route: Route,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route to `route`, on condition of its etag if it has one. As `set_route`."""
        request = registry_service_pb2.UpdateRouteRequest(
            route=convert.route_to_proto(route),
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
        )
        changed = await self._change(self._registry.UpdateRoute, request, timeout_seconds)
        return convert.route_from_proto(changed)

    async def rollback(
        self, model: str, *, allow_unready: bool = False, timeout_seconds: float | None = None
    ) -> Route:
        """Make the version that was stable before stable again, and end a canary's trial.

        It is for emergencies, so another signature does not stop it. Raises FailedPrecondition
        (NO_PREVIOUS_VERSION, VERSION_NOT_SERVED), and Aborted where the route moved meanwhile.
        """
        return await self.put_route(
            rolled_back(await self.route(model, timeout_seconds=timeout_seconds)),
            allow_signature_change=True,
            allow_unready=allow_unready,
            timeout_seconds=timeout_seconds,
        )


def rolled_back(route: Route) -> Route:
    """The route with what was stable before. Raises FailedPrecondition (NO_PREVIOUS_VERSION)."""
    if route.previous is None:
        raise errors.FailedPrecondition(
            "NO_PREVIOUS_VERSION",
            f"the route of {route.model} was never moved from version {route.stable}; "
            "set it to a version instead",
        )
    return replace(route, stable=route.previous, canary=None)


def with_changes(
    route: Route,
    *,
    stable: int | None = None,
    canary: int | None = None,
    weight: float | None = None,
    end_trial: bool = False,
) -> Route:
    """The route with what is given changed; a canary that becomes stable has ended its trial.

    Raises InvalidArgument (CANARY_INCOMPLETE) for a weight without a canary, or the reverse.
    """
    target = route.stable if stable is None else stable
    if end_trial or (canary is None and route.canary and route.canary.version == target):
        return replace(route, stable=target, canary=None)
    trial = route.canary
    if canary is not None or weight is not None:
        trial = _trial(route.canary, canary, weight)
    return replace(route, stable=target, canary=trial)


def _trial(now: Canary | None, version: int | None, weight: float | None) -> Canary:
    version = now.version if version is None and now else version
    weight = now.weight_percent if weight is None and now else weight
    if version is None or weight is None:
        raise _incomplete()
    return Canary(version, weight)


def _incomplete() -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "CANARY_INCOMPLETE", "a canary needs a version and a weight in percent; give both"
    )
