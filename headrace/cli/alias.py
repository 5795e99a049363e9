"""`headrace alias`."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

from headrace.cli import output
from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.completion import version_names
from headrace.cli.insistence import AllowGateFailure, AllowSignatureChange, AllowUnready
from headrace.resource_names import alias_resource


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "alias", changes=True)(alias)


async def alias(
    cli: Cli,
    name: ModelName,
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ALIAS VERSION | ALIAS=VERSION ...]",
            help="What an alias is to point at: a number or another alias. Several ALIAS=VERSION move "
            "together, or none does. Without any, all aliases are listed.",
            autocompletion=version_names,
            show_default=False,
        ),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the alias that is named.")
    ] = False,
    allow_signature_change: AllowSignatureChange = False,
    allow_unready: AllowUnready = False,
    allow_gate_failure: AllowGateFailure = False,
) -> None:
    """Point aliases at versions: callers then say NAME@ALIAS.

    A version that no replica serves, that would break callers of the alias, or that does not pass the
    model's gate, is refused with the reason.
    A new alias may name an older version that no replica holds: they load it then.
    """
    given, allowed = (
        targets or [],
        Allowed(allow_signature_change, allow_unready, allow_gate_failure),
    )
    if delete or not given:
        _check_nothing_allowed(allowed)
    if delete:
        await _delete(cli, name, _only_alias(given))
    elif not given:
        await _list(cli, name)
    elif len(given) == 2 and not any("=" in each for each in given):
        await _move(cli, name, given[0], given[1], allowed)
    else:
        await _move_together(cli, name, _moves(given), allowed)


class Allowed(NamedTuple):
    """The checks that the user insists on skipping."""

    signature_change: bool
    unready: bool
    gate_failure: bool


def _check_nothing_allowed(allowed: Allowed) -> None:
    if any(allowed):
        raise typer.BadParameter(
            "--allow-... go with NAME ALIAS VERSION, or NAME ALIAS=VERSION ..."
        )


async def _move(cli: Cli, name: str, alias: str, version: str, allowed: Allowed) -> None:
    async with cli.client() as client:
        moved = await client.alias(
            name,
            alias,
            version,
            allow_signature_change=allowed.signature_change,
            allow_unready=allowed.unready,
            allow_gate_failure=allowed.gate_failure,
        )
    cli.show(moved, lambda: f"{name}@{alias} is version {moved.version}")


async def _move_together(cli: Cli, name: str, moves: dict[str, str], allowed: Allowed) -> None:
    async with cli.client() as client:
        moved = await client.set_aliases(
            name,
            moves,
            allow_signature_change=allowed.signature_change,
            allow_unready=allowed.unready,
            allow_gate_failure=allowed.gate_failure,
        )
    lines = [f"{name}@{each.name} is version {each.version}" for each in moved]
    cli.show({"aliases": moved}, lambda: "\n".join(lines))


def _moves(given: list[str]) -> dict[str, str]:
    """Return where each alias is to point."""
    parts = [each.partition("=") for each in given]
    if not all(alias and version for alias, _, version in parts):
        raise typer.BadParameter(_USAGE)
    moves = {alias: version for alias, _, version in parts}
    if len(moves) < len(parts):
        raise typer.BadParameter("an alias is named twice: give one version for each")
    return moves


def _only_alias(given: list[str]) -> str:
    if len(given) != 1 or "=" in given[0]:
        raise typer.BadParameter(_USAGE)
    return given[0]


_USAGE = "give NAME, or NAME ALIAS VERSION, or NAME ALIAS=VERSION ..., or NAME ALIAS --delete"


async def _delete(cli: Cli, name: str, alias: str) -> None:
    async with cli.client() as client:
        await client.delete_alias(name, alias)
    cli.show({"deleted": alias_resource(name, alias)}, lambda: f"deleted {name}@{alias}")


async def _list(cli: Cli, name: str) -> None:
    async with cli.client() as client:
        found = await client.aliases(name)
    rows = [(each.name, each.version, output.moment(each.updated_at)) for each in found]
    cli.show({"aliases": found}, lambda: output.table(("alias", "version>", "moved"), rows))
