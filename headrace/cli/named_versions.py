"""Arguments that name a version: NAME, NAME@ALIAS or NAME/VERSION, or NAME with --version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.completion import callable_names, version_names

if TYPE_CHECKING:
    from headrace.client import AsyncClient

VersionName = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@ALIAS|/VERSION]",
        help="The model, and which version: its stable one where nothing is said.",
        autocompletion=callable_names,
    ),
]
OfVersion = Annotated[
    str,
    typer.Option(
        "--version",
        metavar="VERSION|ALIAS",
        help="The same as NAME/VERSION or NAME@ALIAS.",
        autocompletion=version_names,
    ),
]


async def named(client: AsyncClient, text: str, version: str = "") -> tuple[str, int]:
    """The model and the number of the version that a name means, and --version where it is given.

    Raises typer.BadParameter where both name a version, and HeadraceError.
    """
    from headrace.resource_names import check_model_name

    mark = next((mark for mark in "@/" if mark in text), "")
    model, _, said = text.partition(mark) if mark else (text, "", "")
    if mark and version:
        raise typer.BadParameter(f"{text!r} names a version, and so does --version: give one")
    check_model_name(model)
    if mark or version:
        return model, await client.resolve(model, said if mark else version)
    return model, (await client.route(model)).stable
