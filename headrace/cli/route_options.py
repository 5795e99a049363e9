"""The options of `headrace route`, and what they make of the route that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.completion import version_names

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Route
    from headrace.state.route_records import MatchRule

Stable = Annotated[
    str | None,
    typer.Option(
        help="The version, a number or an alias, that is to be stable.",
        autocompletion=version_names,
    ),
]
CanaryVersion = Annotated[
    str | None,
    typer.Option(help="The version that is to be on trial.", autocompletion=version_names),
]
Weight = Annotated[
    float | None, typer.Option(help="The canary's share of the requests, in percent.")
]
MoreCanaries = Annotated[
    list[str] | None,
    typer.Option(
        "--more-canary",
        metavar="VERSION=WEIGHT",
        help="A further version on trial. Repeat it for each: they replace those that there are.",
    ),
]
NoCanary = Annotated[bool, typer.Option("--no-canary", help="End the trial of all canaries.")]
Sticky = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="Requests with the same text there get the same version: header:NAME or parameter:NAME.",
    ),
]
NoSticky = Annotated[bool, typer.Option("--no-sticky", help="Choose by weights alone.")]
Match = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=TEXT:VERSION",
        help="Requests with this text go to this version; KEY^=TEXT means what it begins with. Repeat it "
        "for each rule, the first that fits counts: they replace those that there are.",
    ),
]
NoMatch = Annotated[bool, typer.Option("--no-match", help="Remove all match rules.")]
ShadowVersion = Annotated[
    str | None, typer.Option(help="The version that is to get copies and answer nobody.")
]
ShadowShare = Annotated[
    float | None, typer.Option(help="The share of the requests that are copied, in percent.")
]
NoShadow = Annotated[bool, typer.Option("--no-shadow", help="Copy no requests.")]


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """The parts of a route that are given; None, or False, for what stays."""

    stable: str | None
    canary: str | None
    weight: float | None
    more_canaries: Sequence[str] | None
    sticky: str | None
    match: Sequence[str] | None
    shadow: str | None
    shadow_share: float | None
    no_canary: bool
    no_sticky: bool
    no_match: bool
    no_shadow: bool

    def change_something(self) -> bool:
        """Return whether anything is given. Raises BadParameter for an option and its opposite."""
        canary = (self.canary, self.weight, self.more_canaries or None)
        _refuse_both(
            self.no_canary, canary, "--no-canary goes without --canary, --weight, --more-canary"
        )
        _refuse_both(self.no_sticky, (self.sticky,), "--no-sticky goes without --sticky")
        _refuse_both(self.no_match, (self.match or None,), "--no-match goes without --match")
        shadow = (self.shadow, self.shadow_share)
        _refuse_both(self.no_shadow, shadow, "--no-shadow goes without --shadow and --shadow-share")
        given = (self.stable, *canary, self.sticky, self.match or None, *shadow)
        ended = self.no_canary or self.no_sticky or self.no_match or self.no_shadow
        return ended or any(one is not None for one in given)

    async def applied_to(self, found: Route, client: AsyncClient) -> Route:
        """The route with what is given. Raises BadParameter, InvalidArgument, NotFound."""
        from headrace.client.route_changes import with_changes

        async def number(version: str | None) -> int | None:
            return None if version is None else await client.resolve(found.model, version)

        wanted = with_changes(
            found,
            stable=await number(self.stable),
            canary=await number(self.canary),
            weight=self.weight,
            end_trial=self.no_canary,
        )
        wanted = await self._with_more(wanted, client)
        return await self._with_shadow(await self._with_texts(wanted, client), client)

    async def _with_more(self, route: Route, client: AsyncClient) -> Route:
        from headrace.state.route_records import Canary

        if not self.more_canaries:
            return route
        parsed = [_canary(text) for text in self.more_canaries]
        more = [Canary(await client.resolve(route.model, one), weight) for one, weight in parsed]
        return replace(route, more_canaries=tuple(more))

    async def _with_texts(self, route: Route, client: AsyncClient) -> Route:
        from headrace.client.route_texts import parse_key

        if self.no_sticky or self.sticky is not None:
            route = replace(route, sticky_key=parse_key(self.sticky) if self.sticky else None)
        if self.no_match or self.match:
            rules = [await _rule(text, route.model, client) for text in self.match or ()]
            route = replace(route, matches=tuple(rules))
        return route

    async def _with_shadow(self, route: Route, client: AsyncClient) -> Route:
        from headrace.client.route_changes import with_share

        if self.no_shadow:
            return replace(route, shadow=None)
        if self.shadow is None and self.shadow_share is None:
            return route
        number = None if self.shadow is None else await client.resolve(route.model, self.shadow)
        return replace(route, shadow=with_share(route.shadow, number, self.shadow_share))


def _refuse_both(ended: bool, given: Sequence[object], message: str) -> None:  # a flag's value
    if ended and any(one is not None for one in given):
        raise typer.BadParameter(message)


def _canary(text: str) -> tuple[str, float]:
    version, equals, weight = text.partition("=")
    try:
        return version, float(weight if equals else "")
    except ValueError:
        raise typer.BadParameter(
            f"--more-canary is {text!r}; write VERSION=WEIGHT, such as 3=5 for 5 % to version 3"
        ) from None


async def _rule(text: str, model: str, client: AsyncClient) -> MatchRule:
    from headrace.client.route_texts import parse_rule

    condition, colon, version = text.rpartition(":")
    if not colon or "=" not in condition:
        raise typer.BadParameter(
            f"--match is {text!r}; write KEY=TEXT:VERSION, such as header:x-beta=1:3"
        )
    return parse_rule(condition, await client.resolve(model, version))


def route_parts(route: Route) -> list[str]:
    """Return what a route says, a phrase each, but for what was stable before."""
    from headrace.client.route_texts import describe_rule

    canaries = [one for one in (route.canary, *route.more_canaries) if one is not None]
    parts = [f"stable {route.stable}"]
    parts += [f"canary {one.version} with {one.weight_percent:g} %" for one in canaries]
    if route.sticky_key is not None:
        parts.append(f"sticky by {route.sticky_key}")
    parts += [f"{describe_rule(rule)} to {rule.version}" for rule in route.matches]
    if route.shadow is not None:
        parts.append(f"shadow {route.shadow.version} with {route.shadow.share_percent:g} %")
    return parts
