"""Changes that callers of the console make: the registry is asked with their own credentials."""

from __future__ import annotations

from dataclasses import replace

from headrace.client import methods, resource_messages
from headrace.client.resources import Alias, Route
from headrace.client.route_changes import rolled_back
from headrace.registry.v1 import alias_pb2, registry_service_pb2
from headrace.resource_names import alias_resource, route_resource
from headrace_monitor.adapters.registry.calls import RegistryCalls
from headrace_monitor.domain.catalog.on_behalf import OnBehalf


class RegistryWrites:
    """Moves routes and aliases for callers. Raises the registry's errors."""

    def __init__(self, calls: RegistryCalls) -> None:
        self._calls = calls

    async def set_route(
        self,
        caller: OnBehalf,
        route: Route,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
    ) -> Route:
        """Set a whole route, on condition of its etag if it has one."""
        request = registry_service_pb2.UpdateRouteRequest(
            route=resource_messages.route_to_proto(route),
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
            allow_gate_failure=allow_gate_failure,
        )
        changed = await self._calls.ask_for(caller, methods.UPDATE_ROUTE, request)
        return resource_messages.route_from_proto(changed)

    async def roll_back(
        self, caller: OnBehalf, model: str, etag: str, *, allow_unready: bool = False
    ) -> Route:
        """Make stable again what was before, as the client does; `etag` is that which was shown, or ''."""
        request = registry_service_pb2.GetRouteRequest(name=route_resource(model))
        found = await self._calls.ask_for(caller, methods.GET_ROUTE, request)
        back = rolled_back(resource_messages.route_from_proto(found))
        return await self.set_route(
            caller,
            replace(back, etag=etag or back.etag),
            allow_signature_change=True,
            allow_unready=allow_unready,
        )

    async def set_alias(
        self,
        caller: OnBehalf,
        alias: Alias,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
    ) -> Alias:
        """Point an alias at a version, on condition of its etag if it has one."""
        name = alias_resource(alias.model, alias.name)
        request = registry_service_pb2.UpdateAliasRequest(
            alias=alias_pb2.Alias(name=name, version=alias.version, etag=alias.etag),
            allow_missing=not alias.etag,
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
            allow_gate_failure=allow_gate_failure,
        )
        moved = await self._calls.ask_for(caller, methods.UPDATE_ALIAS, request)
        return resource_messages.alias_from_proto(moved)

    async def delete_alias(self, caller: OnBehalf, model: str, name: str, etag: str) -> None:
        """Delete an alias."""
        request = registry_service_pb2.DeleteAliasRequest(
            name=alias_resource(model, name), etag=etag
        )
        await self._calls.ask_for(caller, methods.DELETE_ALIAS, request)
