"""`headrace alias`."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.insistence import AllowSignatureChange, AllowUnready
from headrace.resource_names import alias_resource


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "alias")(alias)


async def alias(
    cli: Cli,
    name: Annotated[str, typer.Argument(help="The model.")],
    alias: Annotated[str, typer.Argument(help="The alias; without one, all are listed.")] = "",
    version: Annotated[
        str, typer.Argument(help="What it is to point at: a number or another alias.")
    ] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Delete the alias.")] = False,
    allow_signature_change: AllowSignatureChange = False,
    allow_unready: AllowUnready = False,
) -> None:
    """Point an alias at a version: callers then say NAME@ALIAS.

    A version that no replica serves, or that would break callers of the alias, is refused with the reason.
    A new alias may name an older version that no replica holds: they load it then.
    """
    if (allow_signature_change or allow_unready) and not version:
        raise typer.BadParameter("--allow-... go with NAME ALIAS VERSION")
    if delete and alias and not version:
        return await _delete(cli, name, alias)
    if delete or (alias and not version):
        raise typer.BadParameter("give NAME, or NAME ALIAS VERSION, or NAME ALIAS --delete")
    if alias:
        return await _move(
            cli,
            name,
            alias,
            version,
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
        )
    return await _list(cli, name)


async def _move(
    cli: Cli,
    name: str,
    alias: str,
    version: str,
    *,
    allow_signature_change: bool,
    allow_unready: bool,
) -> None:
    async with cli.client() as client:
        moved = await client.alias(
            name,
            alias,
            version,
            allow_signature_change=allow_signature_change,
            allow_unready=allow_unready,
        )
    cli.show(moved, lambda: f"{name}@{alias} is version {moved.version}")


async def _delete(cli: Cli, name: str, alias: str) -> None:
    async with cli.client() as client:
        await client.delete_alias(name, alias)
    cli.show({"deleted": alias_resource(name, alias)}, lambda: f"deleted {name}@{alias}")


async def _list(cli: Cli, name: str) -> None:
    async with cli.client() as client:
        found = await client.aliases(name)
    rows = [(each.name, each.version, output.moment(each.updated_at)) for each in found]
    cli.show({"aliases": found}, lambda: output.table(("alias", "version>", "moved"), rows))
