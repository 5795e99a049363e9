"""`headrace embed`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.arguments import CallableName, VersionOrAlias
from headrace.cli.command import Cli, command
from headrace.cli.generation_flags import read_text

if TYPE_CHECKING:
    from headrace.client import Embeddings

SHOWN_NUMBERS = 4
SHOWN_TEXT = 40


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "embed")(embed)


Texts = Annotated[
    list[str], typer.Argument(metavar="TEXT...", help="Texts; @FILE is each line of a file.")
]


async def embed(
    cli: Cli,
    name: CallableName,
    text: Texts,
    version: VersionOrAlias = "",
    dimensions: Annotated[
        int, typer.Option(min=0, help="Only the first so many numbers; 0: all.")
    ] = 0,
    save: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A .npy file to write the vectors to.")
    ] = None,
) -> None:
    """Make a vector of each text."""
    texts = list(texts_of(text))
    async with cli.client() as client:
        found = await client.embed(
            name,
            texts,
            version=version,
            dimensions=dimensions,
            timeout_seconds=cli.timeout_seconds,
        )
    if save is not None:
        import numpy as np

        np.save(save, found.vectors)
    cli.show(_document(found), lambda: _lines(found, texts))


def texts_of(given: Sequence[str]) -> Iterator[str]:
    """The texts that arguments name. Raises typer.BadParameter for a file that cannot be read."""
    for text in given:
        if text.startswith("@"):
            yield from filter(None, read_text(Path(text[1:])).splitlines())
        else:
            yield text


def _document(found: Embeddings) -> dict[str, Any]:
    return {
        "model_name": found.model,
        "model_version": str(found.version),
        "route": found.route,
        "embeddings": found.vectors.tolist(),
        "usage": found.usage,
    }


def _lines(found: Embeddings, texts: Sequence[str]) -> list[Any]:
    def first(row: Any) -> str:
        shown = " ".join(f"{number:.4f}" for number in row[:SHOWN_NUMBERS])
        return f"{shown} …" if len(row) > SHOWN_NUMBERS else shown

    rows = [
        (shortened(text), len(row), first(row))
        for text, row in zip(texts, found.vectors, strict=True)
    ]
    head = f"{found.model} version {found.version} ({found.route})"
    return [head, output.table(("text", "numbers>", "the first"), rows)]


def shortened(text: str) -> str:
    """A text as a table shows it."""
    return text if len(text) <= SHOWN_TEXT else f"{text[: SHOWN_TEXT - 1]}…"
