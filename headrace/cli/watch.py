"""`headrace watch`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.arguments import OnlyModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.cli.route_options import route_parts

if TYPE_CHECKING:
    from headrace.client import Change, ChangedResource
    from headrace.client.resources import After


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "watch")(watch)


async def watch(
    cli: Cli,
    name: OnlyModelName = "",
    since: Annotated[
        int | None,
        typer.Option(
            help="Begin after this revision; 0: with the oldest change that is kept. Default: now.",
            show_default=False,
            min=0,
        ),
    ] = None,
) -> None:
    """Show every change of models, versions, aliases and routes as it is made. Ctrl-C ends it."""
    async with cli.client() as client:
        if name:
            await client.model(name)  # a name that is not there would be watched in silence
        start = await client.revision() if since is None else since
        async for change in client.watch(start, name):
            cli.show(change, partial(line, change))


def line(change: Change) -> str:
    """One change: its revision, what was done to what, what it is now, and who did it.

    What else was done at that revision stands below it.
    """
    by = f"  by {change.actor}" if change.actor else ""
    first = printable(f"{change.revision:>6}  {_said(change)}{by}")
    return "\n".join([first, *(printable(f"{'':6}  {_said(each)}") for each in change.further)])


def _said(done: Change | ChangedResource) -> str:
    now = _now(done.after)
    return f"{done.kind:<14}  {done.resource}{': ' if now else ''}{now}"


def _now(after: After) -> str:
    from headrace.client import Alias, Model, Route

    match after:
        case Alias(version=version):
            return f"version {version}"
        case Route():
            return ", ".join(route_parts(after))
        case Model(keep_latest=keep_latest, labels=labels, pinned=pinned, protected=protected):
            listed = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
            pin = (", pinned" if pinned else "") + (", protected" if protected else "")
            return f"keep latest {keep_latest}{pin}" + (f", labels {listed}" if listed else "")
        case _:
            return ""
