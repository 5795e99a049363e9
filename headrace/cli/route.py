"""`headrace route`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from headrace import errors
from headrace.cli import route_options as options
from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.cli.insistence import AllowGateFailure, AllowSignatureChange, AllowUnready

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Route


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "route", changes=True)(route)


async def route(  # an option each
    cli: Cli,
    name: ModelName,
    stable: options.Stable = None,
    canary: options.CanaryVersion = None,
    weight: options.Weight = None,
    more_canaries: options.MoreCanaries = None,
    no_canary: options.NoCanary = False,
    sticky: options.Sticky = None,
    no_sticky: options.NoSticky = False,
    match: options.Match = None,
    no_match: options.NoMatch = False,
    shadow: options.ShadowVersion = None,
    shadow_share: options.ShadowShare = None,
    no_shadow: options.NoShadow = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Make stable what was stable before; end all trials.")
    ] = False,
    etag: Annotated[
        str | None, typer.Option(help="Change the route only if this is still its etag.")
    ] = None,
    allow_signature_change: AllowSignatureChange = False,
    allow_unready: AllowUnready = False,
    allow_gate_failure: AllowGateFailure = False,
) -> None:
    """Show or change where requests go that name no version; what is not given stays.

    A change is one step on every replica. A canary that is made stable has ended its trial. If somebody
    else changes the route between our look and our change, the command fails and changes nothing.

    The first match rule that fits a request decides; then its sticky key does, where it has one; else the
    weights do. A shadow gets copies of requests, and its answers are counted and dropped.

    A version that no replica serves, that would break callers of the stable one, or that does not pass the
    model's gate, is refused with the reason. A rollback is for emergencies: another signature does not stop
    it, but is told, no gate does, and canaries, match rules and the shadow end with it.
    """
    given = options.RouteOptions(
        stable=stable,
        canary=canary,
        weight=weight,
        more_canaries=more_canaries,
        sticky=sticky,
        match=match,
        shadow=shadow,
        shadow_share=shadow_share,
        no_canary=no_canary,
        no_sticky=no_sticky,
        no_match=no_match,
        no_shadow=no_shadow,
    )
    insistence = {
        "allow_signature_change": allow_signature_change,
        "allow_unready": allow_unready,
        "allow_gate_failure": allow_gate_failure,
    }
    _check(given, rollback=rollback, conditional=etag is not None or any(insistence.values()))
    await _run(cli, name, None if rollback else given, etag, insistence)


def _check(given: options.RouteOptions, *, rollback: bool, conditional: bool) -> None:
    changes = given.change_something()
    if rollback and changes:
        raise typer.BadParameter("--rollback goes alone")
    if conditional and not (rollback or changes):
        raise typer.BadParameter("--etag and --allow-... go with a change of the route")


async def _run(
    cli: Cli,
    name: str,
    given: options.RouteOptions | None,
    etag: str | None,
    insistence: Mapping[str, bool],
) -> None:
    """Show the route, after the change if there is one; None stands for a rollback."""
    from headrace.client.route_changes import rolled_back

    async with cli.client() as client:
        found = await client.route(name)
        if given is None or given.change_something():
            wanted = await given.applied_to(found, client) if given else rolled_back(found)
            wanted = replace(wanted, etag=found.etag if etag is None else etag)
            found = await _put(client, wanted, tell_only=given is None, **insistence)
    cli.show(found, lambda: describe(found))


async def _put(
    client: AsyncClient,
    wanted: Route,
    *,
    tell_only: bool,
    allow_signature_change: bool,
    **insistence: bool,
) -> Route:
    """The route as changed; with `tell_only`, what breaks callers is told and does not stop it."""
    put = partial(client.put_route, wanted, **insistence)
    try:
        return await put(allow_signature_change=allow_signature_change)
    except errors.FailedPrecondition as error:
        if not tell_only or error.reason != "SIGNATURE_CHANGED":
            raise
        print(f"note: {printable(error.message)}", file=sys.stderr)
        return await put(allow_signature_change=True)


def describe(route: Route) -> str:
    """A route in one line."""
    previous = [] if route.previous is None else [f"previous {route.previous}"]
    return f"{route.model}: {', '.join([*options.route_parts(route), *previous])}"
