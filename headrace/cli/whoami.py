"""`headrace whoami`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command

if TYPE_CHECKING:
    from headrace.client import CallerInfo


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "whoami")(whoami)


async def whoami(cli: Cli) -> None:
    """Say who the registry takes you for, how that is proved, and what you may do."""
    async with cli.client() as client:
        found = await client.caller()
    cli.show(found, lambda: lines(found))


def lines(caller: CallerInfo) -> list[str]:
    """The caller for people."""
    proved = f"{caller.proof} {caller.detail}".strip()
    said = [f"subject  {caller.subject}", f"proof    {proved}"]
    if caller.expires_at:
        said.append(f"ends     {output.moment(caller.expires_at)}")
    if caller.groups:
        said.append(f"groups   {', '.join(caller.groups)}")
    if not caller.enforced:
        return [*said, "rights   all: this registry asks nobody who he is (--auth off)"]
    rights = [f"{verb:8s} {', '.join(models)}" for verb, models in caller.rights.items()]
    return [*said, *(rights or ["rights   none: an admin can grant some"])]
