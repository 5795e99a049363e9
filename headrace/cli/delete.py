"""`headrace delete`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.resource_names import model_resource, version_resource


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "delete", changes=True)(delete)


async def delete(
    cli: Cli,
    name: ModelName,
    version: Annotated[
        int | None, typer.Argument(help="The version's number; without one, the model goes.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Delete a model with all its versions; not one that is protected."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a version, or a model; numbers are never used again."""
    if force and version is not None:
        raise typer.BadParameter("--force is for a model: a version that is named cannot go")
    what = f"model {name}" if version is None else f"version {version} of {name}"
    if not yes:
        _ask(what, as_json=cli.as_json)
    async with cli.client() as client:
        if version is None:
            await client.delete_model(name, force=force)
        else:
            await client.delete_version(name, version)
    resource = model_resource(name) if version is None else version_resource(name, version)
    cli.show({"deleted": resource}, lambda: f"deleted {what}")


def _ask(what: str, *, as_json: bool) -> None:
    if as_json or not sys.stdin.isatty():
        raise typer.BadParameter(f"nobody to ask whether {what} may go; say --yes")
    typer.confirm(f"Delete {what}?", abort=True, err=True)
