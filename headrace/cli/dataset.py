"""`headrace dataset`: what is done with data before anybody else gets them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.error_report import EXIT_REFUSED, printable
from headrace.cli.table_options import listed

if TYPE_CHECKING:
    from headrace.lifecycle.masking import DatasetMasks, GroupSizes
    from headrace.lifecycle.tables import TableSource

DEFAULT_RULES = ["email", "phone", "card", "iban", "ip"]
_ROWS_AT_A_TIME = 8192
_COLUMNS = ("column", "values>", "changed>")


def register(app: typer.Typer) -> None:
    """Add the command with its own commands."""
    group = typer.Typer(
        help="Data sets: mask what identifies people.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    command(group, "mask")(mask)
    app.add_typer(group, name="dataset")


async def mask(
    cli: Cli,
    source: Annotated[
        Path,
        typer.Option(
            "--input", exists=True, dir_okay=False, help="A .csv, .jsonl, .npz or .parquet."
        ),
    ],
    target: Annotated[
        Path, typer.Option("--output", help="The file to write: a .csv, .jsonl or .parquet.")
    ],
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--mask",
            metavar="RULE",
            help="What to mask: `email`, `phone`, `card`, `iban`, `ip`, `id` in all texts, with `=hash` or "
            "`=drop` behind it, or one column: `column:NAME=mask`, `hash`, `drop`, `round:5`, `keep:3`, "
            "`year`, `month`. Without one: the first five; `none`: only those of the file.",
            show_default=False,
        ),
    ] = None,
    masks_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A TOML file of patterns of your own: [[mask]]."
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The key of hashes, 16 bytes at least."),
    ] = None,
    identifying: Annotated[
        str,
        typer.Option(
            metavar="COLUMN,COLUMN",
            help="Columns that may identify together: says how many rows are alike in them.",
        ),
    ] = "",
    min_group: Annotated[
        int, typer.Option(min=1, help="End with status 1 where fewer rows than this are alike.")
    ] = 1,
) -> None:
    """Mask a data set: patterns in all texts, and single columns by name.

    Values of the same text get the same hash, so that tables can still be joined; who has the key can try
    values out. A pattern finds what looks like one: columns that you know to identify are named better.
    """
    from headrace.lifecycle.tables import open_table, table_written

    masks = _masks(DEFAULT_RULES if rules is None else rules, masks_file, key_file)
    table = open_table(source)
    kept = masks.kept(table.columns)
    if target.exists() and target.samefile(source):
        raise typer.BadParameter("--output is the input: masks are not undone, so keep both")
    with table_written(target, kept) as write:
        for rows in table.chunks(_ROWS_AT_A_TIME):
            write(masks.apply(rows))
    groups = _groups(open_table(target), identifying, min_group)
    told = {"output": str(target), "columns": masks.counts, "dropped": sorted(masks.dropped)}
    cli.show(told | ({"groups": groups} if groups else {}), lambda: _lines(target, masks, groups))
    if groups is not None and groups.rows_below:
        raise typer.Exit(EXIT_REFUSED)


def _masks(rules: list[str], masks_file: Path | None, key_file: Path | None) -> DatasetMasks:
    from headrace.lifecycle.masking import dataset_masks
    from headrace.masking.rule_files import read_key, read_patterns

    try:
        return dataset_masks(rules, read_patterns(masks_file), read_key(key_file))
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error


def _groups(table: TableSource, identifying: str, min_group: int) -> GroupSizes | None:
    from headrace.lifecycle.masking import group_sizes

    columns = listed(identifying)
    if not columns:
        return None
    return group_sizes(table.chunks(_ROWS_AT_A_TIME), columns, min_group)


def _lines(target: Path, masks: DatasetMasks, groups: GroupSizes | None) -> list[object]:
    rows: list[tuple[object, ...]]
    rows = [(printable(name), each.values, each.changed) for name, each in masks.counts.items()]
    rows += [(printable(name), 0, "dropped") for name in sorted(masks.dropped)]
    lines: list[object] = [f"wrote {target}", "", output.table(_COLUMNS, rows)]
    if groups is not None:
        named = printable(", ".join(groups.columns))
        lines += [
            "",
            f"in {named}: {groups.groups} different rows, the rarest is there {groups.smallest} times",
        ]
        if groups.rows_below:
            lines.append(f"{groups.rows_below} rows are alike with fewer than {groups.wanted}")
    return lines
