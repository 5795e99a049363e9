"""POST /api/v1/models/{model}/route, /rollback and /alias: made by the registry, for the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from headrace.client.resources import Alias, Route
from headrace.client.route_texts import parse_key, parse_rule
from headrace.resource_names import check_alias_name, check_model_name
from headrace.security.callers import current_caller
from headrace.service.http.requests import Request
from headrace.state.route_records import Canary, Shadow
from headrace_monitor.domain.catalog.on_behalf import OnBehalf
from headrace_monitor.wire.console.api import bodies
from headrace_monitor.wire.console.api.api import Api
from headrace_monitor.wire.console.api.catalog_json import alias_json, route_json

ACTOR = "console"
"""Who changes something where nobody has to prove who he is, and he does not say."""


class Writes(Protocol):
    """Moves routes and aliases for callers."""

    async def set_route(
        self,
        caller: OnBehalf,
        route: Route,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
    ) -> Route:
        """Set a whole route."""

    async def roll_back(
        self, caller: OnBehalf, model: str, etag: str, *, allow_unready: bool = False
    ) -> Route:
        """Go back to the stable version before."""

    async def set_alias(
        self,
        caller: OnBehalf,
        alias: Alias,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
    ) -> Alias:
        """Point an alias at a version."""

    async def delete_alias(self, caller: OnBehalf, model: str, name: str, etag: str) -> None:
        """Delete an alias."""


class ChangesApi:
    """Makes changes of models for callers."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    def add_to(self, api: Api) -> None:
        """Add the routes."""
        self._credentials_of = api.app.credentials_of
        api.post("/models/{model}/route", self._route)
        api.post("/models/{model}/rollback", self._roll_back)
        api.post("/models/{model}/alias", self._alias)

    async def _route(self, request: Request, document: Mapping[str, object]) -> object:
        body = bodies.read(bodies.RouteBody, document)
        caller = on_behalf(request, self._credentials_of(request), body.reason)
        route = _wanted(check_model_name(request.names["model"]), body)
        found = await self._writes.set_route(
            caller,
            route,
            allow_signature_change=body.allow_signature_change,
            allow_unready=body.allow_unready,
            allow_gate_failure=body.allow_gate_failure,
        )
        return {"route": route_json(found)}

    async def _roll_back(self, request: Request, document: Mapping[str, object]) -> object:
        body = bodies.read(bodies.RollbackBody, document)
        caller = on_behalf(request, self._credentials_of(request), body.reason)
        model = check_model_name(request.names["model"])
        found = await self._writes.roll_back(
            caller, model, body.etag, allow_unready=body.allow_unready
        )
        return {"route": route_json(found)}

    async def _alias(self, request: Request, document: Mapping[str, object]) -> object:
        body = bodies.read(bodies.AliasBody, document)
        caller = on_behalf(request, self._credentials_of(request), body.reason)
        model, name = check_model_name(request.names["model"]), check_alias_name(body.alias)
        if body.version is None:
            await self._writes.delete_alias(caller, model, name, body.etag)
            return {"alias": None}
        found = await self._writes.set_alias(
            caller,
            Alias(model, name, body.version, 0.0, body.etag),
            allow_signature_change=body.allow_signature_change,
            allow_unready=body.allow_unready,
            allow_gate_failure=body.allow_gate_failure,
        )
        return {"alias": {"name": name, **alias_json(found)}}


def on_behalf(request: Request, authorization: str, reason: str) -> OnBehalf:
    """The caller of a request, as others are told of him. Raises InvalidArgument for no good reason."""
    actor = current_caller().claim or ACTOR
    return OnBehalf(authorization, actor, bodies.checked_reason(reason), request.id)


def _wanted(model: str, body: bodies.RouteBody) -> Route:
    canaries = [Canary(one.version, one.weight_percent) for one in body.canaries]
    shadow = body.shadow
    return Route(
        model,
        body.stable,
        canaries[0] if canaries else None,
        etag=body.etag,
        more_canaries=tuple(canaries[1:]),
        sticky_key=parse_key(body.sticky_key) if body.sticky_key else None,
        matches=tuple(parse_rule(rule.rule, rule.version) for rule in body.rules),
        shadow=Shadow(shadow.version, shadow.share_percent) if shadow else None,
    )
