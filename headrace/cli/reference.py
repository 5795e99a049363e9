"""`headrace reference`: how the data of versions looked, and what is enforced of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.durations import seconds_in
from headrace.cli.error_report import printable
from headrace.cli.named_versions import VersionName, named
from headrace.cli.sample_files import read_samples

if TYPE_CHECKING:
    from headrace.client import ReferenceField, VersionReference

_COLUMNS = ("field", "kind", "lowest>", "highest>", "categories", "missing>", "enforced")
_CATEGORIES = 6


def register(app: typer.Typer) -> None:
    """Add the command with its own commands."""
    group = typer.Typer(
        help="References: how the data of a version looked when all was well. Drift is told against them, "
        "and rows that differ can be flagged or refused.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    for name, function in (
        ("show", show),
        ("set", set_reference),
        ("enforce", enforce),
        ("delete", delete),
    ):
        command(group, name, changes=name != "show")(function)
    app.add_typer(group, name="reference")


async def show(cli: Cli, name: VersionName) -> None:
    """Show the reference of a version: what was learnt by field, and what is enforced."""
    async with cli.client() as client:
        model, version = await named(client, name)
        found = await client.reference(model, version)
    cli.show(found, lambda: [*_facts(found), "", output.table(_COLUMNS, map(_row, found.fields))])


async def set_reference(
    cli: Cli,
    name: VersionName,
    samples: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Rows to make it of: a .csv, .npz, .json or .parquet whose columns are named as inputs "
            "and outputs, or `x[3]` for a column of one.",
        ),
    ] = None,
    from_version: Annotated[
        str | None, typer.Option(help="Take that of another version: a number or an alias.")
    ] = None,
    from_traffic: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Make it of what the monitor counted lately: 30m, 2h, 1d."
        ),
    ] = None,
    etag: Annotated[
        str, typer.Option(help="Set it only if this is still the etag of the present one.")
    ] = "",
) -> None:
    """Set the reference of a version, in the place of the one that it has."""
    if [samples, from_version, from_traffic].count(None) != 2:
        raise typer.BadParameter("give one of --samples, --from-version and --from-traffic")
    window = seconds_in(from_traffic, "--from-traffic")
    rows = None if samples is None else read_samples(samples)
    async with cli.client() as client:
        model, version = await named(client, name)
        if rows is not None and samples is not None:
            made = await client.set_reference(model, version, rows, origin=samples.name, etag=etag)
        elif window is not None:
            made = await client.reference_from_traffic(model, version, window, etag=etag)
        else:
            made = await client.copy_reference(model, version, str(from_version), etag=etag)
    cli.show(made, lambda: _set(made))


async def enforce(
    cli: Cli,
    name: VersionName,
    fields: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=WORD ...",
            help="What is done with rows that differ: `count`, `flag` or `reject`, as "
            "'input age=reject'.",
        ),
    ],
    etag: Annotated[
        str, typer.Option(help="Change it only if this is still the reference's etag.")
    ] = "",
) -> None:
    """Say what is done with rows that differ from what was learnt, by field; others stay as they are."""
    words = _words(fields)
    async with cli.client() as client:
        model, version = await named(client, name)
        changed = await client.enforce(model, version, words, etag=etag)
    lines = [f"{field}: {word}" for field, word in words.items()]
    cli.show(changed, lambda: [f"of version {changed.version} of {model} from now on", *lines])


async def delete(cli: Cli, name: VersionName) -> None:
    """Delete the reference of a version, with what is enforced of it."""
    async with cli.client() as client:
        model, version = await named(client, name)
        await client.delete_reference(model, version)
    told = {"deleted": f"models/{model}/versions/{version}/reference"}
    cli.show(told, lambda: f"deleted the reference of version {version} of {model}")


def _words(fields: list[str]) -> dict[str, str]:
    words = {}
    for text in fields:
        field, found, word = text.rpartition("=")
        if not (found and field):
            raise typer.BadParameter(f"{text!r} is not FIELD=WORD, such as 'input age=reject'")
        words[field] = word
    return words


def _set(made: VersionReference) -> str:
    return (
        f"version {made.version} of {made.model} has a reference of {made.rows} rows "
        f"({output.size(made.size_bytes)})"
    )


def _facts(found: VersionReference) -> list[str]:
    origin = f", {printable(found.origin)}" if found.origin else ""
    return [
        f"version {found.version} of {found.model}: {found.rows} rows of {found.source}{origin}",
        f"made {output.moment(found.created_at)}, digest {found.digest[:12]}, etag {found.etag}",
    ]


def _row(field: ReferenceField) -> tuple[object, ...]:
    return (
        printable(field.name),
        field.kind,
        _number(field.lowest),
        _number(field.highest),
        _categories(field.categories),
        f"{field.missing_rate:.1%}" if field.missing_rate else "",
        "" if field.enforcement == "count" else field.enforcement,
    )


def _number(value: float | None) -> str:
    return "" if value is None else output.number(value)


def _categories(categories: tuple[str, ...] | None) -> str:
    if categories is None:
        return ""
    more = f" and {len(categories) - _CATEGORIES} more" if len(categories) > _CATEGORIES else ""
    return printable(", ".join(categories[:_CATEGORIES]) + more)
