"""Arguments that name a version: NAME, NAME@ALIAS or NAME/VERSION."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.completion import callable_names

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


async def named(client: AsyncClient, text: str) -> tuple[str, int]:
    """The model and the number of the version that a text names. Raises HeadraceError."""
    from headrace.resource_names import check_model_name

    for mark in "@/":
        model, found, version = text.partition(mark)
        if found:
            return check_model_name(model), await client.resolve(model, version)
    return check_model_name(text), (await client.route(text)).stable
