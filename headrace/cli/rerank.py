"""`headrace rerank`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.arguments import CallableName, VersionOrAlias
from headrace.cli.command import Cli, command
from headrace.cli.embed import Texts, shortened, texts_of

if TYPE_CHECKING:
    from headrace.client import Ranking


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "rerank")(rerank)


async def rerank(
    cli: Cli,
    name: CallableName,
    query: Annotated[str, typer.Argument(help="What is asked.")],
    document: Texts,
    version: VersionOrAlias = "",
    top_n: Annotated[int, typer.Option(min=0, help="Only so many of the best; 0: all.")] = 0,
) -> None:
    """Order texts by how well they answer a query."""
    documents = list(texts_of(document))
    async with cli.client() as client:
        found = await client.rerank(
            name,
            query,
            documents,
            version=version,
            top_n=top_n,
            timeout_seconds=cli.timeout_seconds,
        )
    cli.show(_document(found, documents), lambda: _table(found, documents))


def _document(found: Ranking, documents: Sequence[str]) -> dict[str, Any]:
    return {
        "model_name": found.model,
        "model_version": str(found.version),
        "route": found.route,
        "results": [
            {"index": one.index, "score": one.score, "document": documents[one.index]}
            for one in found.results
        ],
        "usage": found.usage,
    }


def _table(found: Ranking, documents: Sequence[str]) -> Any:
    rows = [
        (place, f"{one.score:.4f}", one.index, shortened(documents[one.index]))
        for place, one in enumerate(found.results, 1)
    ]
    return output.table(("place>", "score>", "index>", "document"), rows)
