"""`headrace pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.named_versions import VersionName, named

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "pull")(pull)


VersionNumber = Annotated[
    int | None,
    typer.Option(
        "--version", help="Its number; without one, the stable version of the route.", min=1
    ),
]


async def pull(
    cli: Cli,
    name: VersionName,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder for the files.")],
    version: VersionNumber = None,
    attachments: Annotated[
        bool,
        typer.Option(
            "--attachments", help="Get the files that were attached, too: FOLDER/attachments."
        ),
    ] = False,
) -> None:
    """Get a version's files as they were pushed, and its signature as model.sig."""
    async with cli.client() as client:
        model, number = await _chosen(client, name, version)
        found = await client.pull(
            model, number, folder, attachments=attachments, timeout_seconds=cli.timeout_seconds
        )
    cli.show(found, lambda: f"pulled {_what(found)} into {folder}")


async def _chosen(client: AsyncClient, name: str, version: int | None) -> tuple[str, int]:
    """The model and the version that are asked for. Raises HeadraceError."""
    if version is None:
        return await named(client, name)
    from headrace.resource_names import check_model_name

    return check_model_name(name), version


async def chosen(client: AsyncClient, name: str, version: int | None) -> int:
    """The version that is asked for, else the stable one. Raises NotFound, FailedPrecondition."""
    return (await client.route(name)).stable if version is None else version


def _what(version: Version) -> str:
    signed = ", signed" if version.signature_bundle else ""
    return (
        f"version {version.number} of {version.model} ({output.size(version.size_bytes)}{signed})"
    )
