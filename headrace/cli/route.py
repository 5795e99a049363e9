"""`headrace route`."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from headrace import errors
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.cli.insistence import AllowSignatureChange, AllowUnready

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
    allow_signature_change: AllowSignatureChange = False,
    allow_unready: AllowUnready = False,
) -> None:
    """Show or change where requests go that name no version; what is not given stays.

    A change is one step on every replica. A canary that is made stable has ended its trial. If somebody
    else changes the route between our look and our change, the command fails and changes nothing.

    A version that no replica serves, or that would break callers of the stable one, is refused with the
    reason. A rollback is for emergencies: another signature does not stop it, but is told.
    """
    changes = any(given is not None for given in (stable, canary, weight)) or no_canary
    if rollback and changes:
        raise typer.BadParameter("--rollback goes alone")
    if no_canary and (canary is not None or weight is not None):
        raise typer.BadParameter("--no-canary goes without --canary and --weight")
    conditions = etag is not None or allow_signature_change or allow_unready
    if conditions and not (rollback or changes):
        raise typer.BadParameter("--etag and --allow-... go with a change of the route")
    async with cli.client() as client:
        found = await client.route(name)
        if rollback or changes:
            wanted = await _wanted(
                client, found, stable=stable, canary=canary, weight=weight, end_trial=no_canary
            )
            seen = found.etag if etag is None else etag
            found = await _put(
                client,
                replace(wanted, etag=seen),
                tell_only=rollback,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
            )
    cli.show(found, lambda: describe(found))


async def _put(
    client: AsyncClient,
    wanted: Route,
    *,
    tell_only: bool,
    allow_signature_change: bool,
    allow_unready: bool,
) -> Route:
    """The route as changed; with `tell_only`, what breaks callers is told and does not stop it."""
    put = partial(client.put_route, wanted, allow_unready=allow_unready)
    try:
        return await put(allow_signature_change=allow_signature_change)
    except errors.FailedPrecondition as error:
        if not tell_only or error.reason != "SIGNATURE_CHANGED":
            raise
        print(f"note: {printable(error.message)}", file=sys.stderr)
        return await put(allow_signature_change=True)


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
