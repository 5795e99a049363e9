"""Routes of requests whose rows were flagged: an answer says so wherever it says its route."""

from __future__ import annotations

from typing import Self

ROUTE_PARAMETER = "headrace.route"
FLAGGED_PARAMETER = "headrace.flagged"


class FlaggedRoute(str):
    """A route, and the fields that were flagged: equal to no other, so answers that are kept differ."""

    __slots__ = ("fields", "plain")

    plain: str
    fields: str

    def __new__(cls, plain: str, fields: str) -> Self:
        """The route `plain` of a request of which `fields` were flagged."""
        made = super().__new__(cls, f"{plain}\0{fields}")
        made.plain, made.fields = plain, fields
        return made


def plain_route(route: str) -> str:
    """The route itself."""
    return route.plain if isinstance(route, FlaggedRoute) else route


def route_parameters(route: str) -> dict[str, str]:
    """The parameters of an answer that say by which route it came, and what was flagged."""
    if isinstance(route, FlaggedRoute):
        return {ROUTE_PARAMETER: route.plain, FLAGGED_PARAMETER: route.fields}
    return {ROUTE_PARAMETER: route}
