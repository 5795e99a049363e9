"""The options of commands that read rows of tables: which columns are inputs, and how many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

COLUMNS_PANEL = "Columns and outputs"

InputColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--input-column",
        metavar="INPUT=COLUMN,COLUMN",
        help="The columns of an input. [default: those of its name, or all for the only input]",
        rich_help_panel=COLUMNS_PANEL,
        show_default=False,
    ),
]
Ignored = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="COLUMN",
        help="A column of --data that is no input; several times.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]


def input_columns(given: Sequence[str] | None) -> dict[str, tuple[str, ...]] | None:
    """The columns by input; None where nothing is said. Raises typer.BadParameter."""
    found = {}
    for text in given or ():
        name, equals, columns = text.partition("=")
        if not (equals and name and columns):
            raise typer.BadParameter(
                f"{text!r} is not INPUT=COLUMN,COLUMN, such as x=age,height",
                param_hint="--input-column",
            )
        found[name] = listed(columns)
    return found or None


def listed(text: str) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
