"""`headrace apply`: a file of rules of alerts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.client.alert_resources import RuleChange


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "apply")(apply)


async def apply(
    cli: Cli,
    file: Annotated[
        Path,
        typer.Argument(help="A file of rules, TOML; - reads standard input.", allow_dash=True),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would change, and what is wrong.")
    ] = False,
    etag: Annotated[
        str, typer.Option(help="Apply only if the rules in force are those of this etag.")
    ] = "",
) -> None:
    """Put a file of rules of alerts in force, in place of the one before.

    Shipped rules stay, unless the file turns them off. docs/alerts.md has the keys.
    """
    text = _read(file)
    async with cli.client() as client:
        change = await client.apply_alert_rules(text, dry_run=dry_run, etag=etag)
    cli.show(change, lambda: _said(change, dry_run=dry_run))


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from error


def _said(change: RuleChange, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    lines = [
        f"{name} {would}{what}"
        for what, names in (
            ("added", change.added),
            ("changed", change.changed),
            ("removed", change.removed),
        )
        for name in names
    ]
    lines.append(f"{len(change.unchanged)} as before; etag {change.etag}")
    shown = [change.diff, ""] if change.diff and dry_run else []
    return "\n".join(printable(line) for part in (*shown, *lines) for line in part.split("\n"))
