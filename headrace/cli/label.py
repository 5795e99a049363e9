"""`headrace label`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.unknown_models import refuse_unknown

if TYPE_CHECKING:
    from headrace.client import Label, LabelCounts

_SAID = (
    ("joined", "joined with an answer"),
    ("corrected", "corrected: they differ from what was told before, and count instead"),
    ("duplicates", "told before, the same"),
    ("outdated", "older than what was told before: they do not count"),
    ("not_sampled", "of requests that are not in the sample: their answers were never kept"),
    ("unknown", "of requests that no kept answer has; they wait a day for one"),
    ("wrong_kind", "no numbers, where the answers are numbers"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "label")(label)


async def label(
    cli: Cli,
    name: ModelName,
    request_id: Annotated[
        str, typer.Argument(metavar="[ID]", help="The id of a request.", show_default=False)
    ] = "",
    value: Annotated[
        str, typer.Argument(metavar="[VALUE]", help="The truth about it.", show_default=False)
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file with a heading, or JSON Lines (.jsonl), with a label in each line.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    row: Annotated[int, typer.Option(help="Of one request: which of its rows.", min=0)] = 0,
    id_column: Annotated[str, typer.Option(help="The column with ids.")] = "id",
    label_column: Annotated[str, typer.Option(help="The column with the truth.")] = "label",
    row_column: Annotated[str, typer.Option(help="The column with rows, if any.")] = "row",
    time_column: Annotated[
        str, typer.Option(help="The column with times when the truth became known, if any.")
    ] = "time",
) -> None:
    """Tell the truth about a model's answers, by the ids of their requests: one, or a file of them.

    It may be told again: each counts once, and of two that differ the later. Only a share of requests is
    sampled, by their ids: labels of others are told apart.
    """
    from headrace.cli.label_files import Columns, read_labels

    if (file is None) == (not request_id) or bool(request_id) != bool(value):
        raise typer.BadParameter("give ID and VALUE, or --file")
    labels = (
        _one(request_id, value, row)
        if file is None
        else read_labels(file, Columns(id_column, label_column, row_column, time_column))
    )
    async with cli.client() as client:
        counts = await client.record_labels(name, labels)
        if not any(getattr(counts, each) for each, _ in _SAID if each != "unknown"):
            await refuse_unknown(client, name)
    cli.show(counts, lambda: list(_lines(counts)))


def _one(request_id: str, value: str, row: int) -> Iterator[Label]:
    from headrace.client import Label

    yield Label(request_id, value, row)


def _lines(counts: LabelCounts) -> Iterator[str]:
    found = [(getattr(counts, name), text) for name, text in _SAID]
    if not any(count for count, _ in found):
        yield "The file has no labels."
    for count, text in found:
        if count:
            yield f"{count:,} {text}"
