"""`headrace pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.named_versions import OfVersion, VersionName, named

if TYPE_CHECKING:
    from headrace.client import Version


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "pull")(pull)


async def pull(
    cli: Cli,
    name: VersionName,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder for the files.")],
    version: OfVersion = "",
    attachments: Annotated[
        bool,
        typer.Option(
            "--attachments", help="Get the files that were attached, too: FOLDER/attachments."
        ),
    ] = False,
) -> None:
    """Get a version's files as they were pushed, and its signature as model.sig."""
    async with cli.client() as client:
        model, number = await named(client, name, version)
        found = await client.pull(
            model, number, folder, attachments=attachments, timeout_seconds=cli.timeout_seconds
        )
    cli.show(found, lambda: f"pulled {_what(found)} into {folder}")


def _what(version: Version) -> str:
    signed = ", signed" if version.signature_bundle else ""
    return (
        f"version {version.number} of {version.model} ({output.size(version.size_bytes)}{signed})"
    )
