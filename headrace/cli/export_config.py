"""`headrace export-config`."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "export-config")(export_config)


async def export_config(
    cli: Cli,
    name: ModelName,
    version: Annotated[
        str, typer.Option(help="A version's number or alias; without one, the stable version.")
    ] = "",
) -> None:
    """Print the config.pbtxt with which Triton serves a version."""
    from headrace.triton.to_model_config import config_for_triton

    async with cli.client() as client:
        wanted = version or (await client.route(name)).stable
        found = await client.version(name, await client.resolve(name, wanted))
    text = config_for_triton(found)
    document = {"model": found.model, "version": found.number, "config_pbtxt": text}
    cli.show(document, lambda: text.rstrip("\n"))
