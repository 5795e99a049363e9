"""`headrace roles`: names for what may be done with which models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command

if TYPE_CHECKING:
    from headrace.client import Role, Rule

RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="The role's name.")]


def register(app: typer.Typer) -> None:
    """Add the command with its own commands."""
    group = typer.Typer(
        help="Roles: what may be done with which models. `headrace grant` gives them to subjects.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    for name, function in (("list", list_all), ("set", set_role), ("delete", delete)):
        command(group, name, changes=name != "list")(function)
    app.add_typer(group, name="roles")


async def list_all(cli: Cli) -> None:
    """List roles, those that are built in first."""
    async with cli.client() as client:
        found = await client.roles()
    columns = ("role", "allows", "built in", "description")
    cli.show({"roles": found}, lambda: output.table(columns, map(_row, found)))


async def set_role(
    cli: Cli,
    role: RoleName,
    rules: Annotated[
        list[str],
        typer.Argument(
            metavar="VERBS[:MODELS] ...",
            help="What it allows: verbs among infer, read, push, route, label, delete, admin and "
            r"service, and for which models: infer,read:fraud-\*,risk-\* ('\*' is any text; all models "
            "where none are given).",
        ),
    ],
    description: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Set all of a role, or create it. What no rule allows is denied; no rule denies."""
    parsed = [_rule(text) for text in rules]
    async with cli.client() as client:
        changed = await client.set_role(role, parsed, description=description)
    cli.show(changed, lambda: f"{changed.name} allows {_allows(changed)}")


async def delete(cli: Cli, role: RoleName) -> None:
    """Delete a role that nobody has."""
    async with cli.client() as client:
        await client.delete_role(role)
    cli.show({"deleted": f"roles/{role}"}, lambda: f"deleted role {role}")


def _rule(text: str) -> Rule:
    from headrace.client import Rule

    verbs, colon, models = text.partition(":")
    patterns = tuple(filter(None, models.split(",")))
    if colon and not patterns:
        raise typer.BadParameter(f"{text!r} names no models after ':'; leave it out for all")
    return Rule(tuple(filter(None, verbs.split(","))), patterns or ("*",))


def _row(role: Role) -> tuple[str, ...]:
    return role.name, _allows(role), "yes" if role.built_in else "", role.description


def _allows(role: Role) -> str:
    return "; ".join(f"{','.join(rule.verbs)}:{','.join(rule.models)}" for rule in role.rules)
