"""`headrace route`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.command import Cli, command

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Route


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "route")(route)


async def route(
    cli: Cli,
    name: Annotated[str, typer.Argument(help="The model.")],
    stable: Annotated[
        str | None, typer.Option(help="The version, a number or an alias, that is to be stable.")
    ] = None,
    canary: Annotated[str | None, typer.Option(help="The version that is to be on trial.")] = None,
    weight: Annotated[
        float | None, typer.Option(help="The canary's share of the requests, in percent.")
    ] = None,
    no_canary: Annotated[bool, typer.Option("--no-canary", help="End the trial.")] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Make stable what was stable before; end the trial.")
    ] = False,
    etag: Annotated[
        str | None, typer.Option(help="Change the route only if this is still its etag.")
    ] = None,
) -> None:
    """Show or change where requests go that name no version; what is not given stays.

    A change is one step on every replica. A canary that is made stable has ended its trial. If somebody
    else changes the route between our look and our change, the command fails and changes nothing.
    """
    changes = any(given is not None for given in (stable, canary, weight)) or no_canary
    if rollback and changes:
        raise typer.BadParameter("--rollback goes alone")
    if no_canary and (canary is not None or weight is not None):
        raise typer.BadParameter("--no-canary goes without --canary and --weight")
    async with cli.client() as client:
        found = await client.route(name)
        if rollback or changes:
            wanted = await _wanted(
                client, found, stable=stable, canary=canary, weight=weight, end_trial=no_canary
            )
            seen = found.etag if etag is None else etag
            found = await client.put_route(replace(wanted, etag=seen))
    cli.show(found, lambda: describe(found))


async def _wanted(
    client: AsyncClient,
    found: Route,
    *,
    stable: str | None,
    canary: str | None,
    weight: float | None,
    end_trial: bool,
) -> Route:
    from headrace.client.routes import rolled_back, with_changes

    if stable is None and canary is None and weight is None and not end_trial:
        return rolled_back(found)
    return with_changes(
        found,
        stable=None if stable is None else await client.resolve(found.model, stable),
        canary=None if canary is None else await client.resolve(found.model, canary),
        weight=weight,
        end_trial=end_trial,
    )


def describe(route: Route) -> str:
    """A route in one line."""
    parts = [f"{route.model}: stable {route.stable}"]
    if route.canary is not None:
        parts.append(f"canary {route.canary.version} with {route.canary.weight_percent:g} %")
    if route.previous is not None:
        parts.append(f"previous {route.previous}")
    return ", ".join(parts)
