"""A model's route, as a client reads and changes it."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.client import methods, resource_messages
from headrace.client.catalog import CatalogCalls
from headrace.client.resources import Route
from headrace.client.route_changes import rolled_back, with_share, with_weight
from headrace.client.route_texts import parse_key, parse_rule
from headrace.registry.v1 import registry_service_pb2
from headrace.resource_names import route_resource
from headrace.state.route_records import Canary, RequestKey


class RouteCalls(CatalogCalls):
    """Read, set, change and roll back a route; every change is one step."""

    async def route(self, model: str, *, timeout_seconds: float | None = None) -> Route:
        """A model's route. Raises NotFound, and FailedPrecondition before its first version."""
        request = registry_service_pb2.GetRouteRequest(name=route_resource(model))
        found = await self._ask_registry(methods.GET_ROUTE, request, timeout_seconds)
        return resource_messages.route_from_proto(found)

    async def set_route(
        self,
        model: str,
        stable: int | str,
        canary: int | str | None = None,
        weight: float | None = None,
        *,
        more_canaries: Mapping[int | str, float] | None = None,
        sticky_key: RequestKey | str | None = None,
        match: Mapping[str, int | str] | None = None,
        shadow: int | str | None = None,
        shadow_share: float | None = None,
        etag: str = "",
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route: `weight` percent to `canary`, the rest to `stable`; numbers or aliases.

        `more_canaries` are further versions with their weights. With a `sticky_key`, `header:NAME` or
        `parameter:NAME`, the same text there always gets the same version. `match` sends requests to
        versions of their own by conditions such as `header:x-beta=1` (equal) or `parameter:user^=test-`
        (begins so), the first that fits; `shadow` gets copies of `shadow_share` percent of the requests and
        answers nobody.

        Raises NotFound, Aborted where the etag is not the present one, InvalidArgument for what is
        incomplete or malformed; FailedPrecondition for a version that would break callers
        (SIGNATURE_CHANGED), for one that no replica serves (VERSION_NOT_SERVED) and for one that does not
        pass the model's gate (GATE_NOT_PASSED), unless allowed.
        """

        async def number(version: int | str) -> int:
            return await self.resolve(model, version, timeout_seconds=timeout_seconds)

        first = None
        if canary is not None or weight is not None:
            first = with_weight(None, None if canary is None else await number(canary), weight)
        copied = None
        if shadow is not None or shadow_share is not None:
            copied = with_share(
                None, None if shadow is None else await number(shadow), shadow_share
            )
        wanted = Route(
            model,
            await number(stable),
            first,
            etag=etag,
            more_canaries=tuple(
                [Canary(await number(one), share) for one, share in (more_canaries or {}).items()]
            ),
            sticky_key=parse_key(sticky_key) if isinstance(sticky_key, str) else sticky_key,
            matches=tuple(
                [parse_rule(text, await number(one)) for text, one in (match or {}).items()]
            ),
            shadow=copied,
        )
        return await self.put_route(
            wanted,
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
            allow_gate_failure=allow_gate_failure,
            timeout_seconds=timeout_seconds,
        )

    async def put_route(
        self,
        route: Route,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route to `route`, on condition of its etag if it has one. As `set_route`."""
        request = registry_service_pb2.UpdateRouteRequest(
            route=resource_messages.route_to_proto(route),
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
            allow_gate_failure=allow_gate_failure,
        )
        changed = await self._change(methods.UPDATE_ROUTE, request, timeout_seconds)
        return resource_messages.route_from_proto(changed)

    async def rollback(
        self, model: str, *, allow_unready: bool = False, timeout_seconds: float | None = None
    ) -> Route:
        """Make the version that was stable before stable again; end canaries, match rules and shadow.

        It is for emergencies, so neither another signature nor a gate stops it. Raises FailedPrecondition
        (NO_PREVIOUS_VERSION, VERSION_NOT_SERVED), and Aborted where the route moved meanwhile.
        """
        return await self.put_route(
            rolled_back(await self.route(model, timeout_seconds=timeout_seconds)),
            allow_signature_change=True,
            allow_unready=allow_unready,
            timeout_seconds=timeout_seconds,
        )
