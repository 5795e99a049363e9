"""`headrace profile`: the suites that `headrace login` keeps."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command

Name = Annotated[str, typer.Argument(help="The profile.")]


def register(app: typer.Typer) -> None:
    """Add the command with its own commands."""
    group = typer.Typer(
        help="Profiles: where suites are and which key they are called with; `headrace login` makes them.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    for name, function in (("list", list_all), ("use", use), ("show", show), ("delete", delete)):
        command(group, name)(function)
    app.add_typer(group, name="profile")


async def list_all(cli: Cli) -> None:
    """List profiles; the one with a star is used where none is named."""
    from headrace import profiles

    found = profiles.read(profiles.folder(os.environ))
    rows = [
        ("*" if name == found.current else "", name, profile.registry, profile.token_file or "-")
        for name, profile in found.named.items()
    ]
    document = {
        "current": found.current,
        "profiles": {n: asdict(p) for n, p in found.named.items()},
    }
    nothing = "no profiles: `headrace login` makes one"
    columns = ("", "profile", "registry", "key file")
    cli.show(document, lambda: output.table(columns, rows) if rows else nothing)


async def use(cli: Cli, name: Name) -> None:
    """Use a profile where none is named."""
    from headrace import profiles

    where = profiles.folder(os.environ)
    found = profiles.read(where)
    profiles.find(found, name)
    profiles.write(where, profiles.Profiles(found.named, name))
    cli.show({"current": name}, lambda: f"profile {name} is used now")


async def show(
    cli: Cli, name: Annotated[str, typer.Argument(help="The profile; that in use.")] = ""
) -> None:
    """Show a profile; the key itself is not shown."""
    from headrace import profiles

    found = profiles.read(profiles.folder(os.environ))
    chosen = name or found.current
    held = asdict(profiles.find(found, chosen))
    lines = [f"{key:11s} {value}" for key, value in held.items() if value]
    cli.show({"profile": chosen, **held}, lambda: [f"profile     {chosen}", *lines])


async def delete(cli: Cli, name: Name) -> None:
    """Delete a profile, and the key that was kept with it; the key itself is not revoked."""
    from headrace import profiles

    where = profiles.folder(os.environ)
    found = profiles.read(where)
    gone = profiles.find(found, name)
    left = {other: profile for other, profile in found.named.items() if other != name}
    current = "" if found.current == name else found.current
    profiles.write(where, profiles.Profiles(left, current))
    own = where / "keys" / f"{name}.key"
    if Path(gone.token_file) == own:
        own.unlink(missing_ok=True)
    cli.show({"deleted": name}, lambda: f"deleted profile {name}")
