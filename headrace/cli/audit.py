"""`headrace audit`: who changed what, how that is known, and why."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.client.async_client import AsyncClient
    from headrace.client.audit import LoggedChange
    from headrace.state.stored_changes import ChainCheck, StoredChange

    Entry = tuple[StoredChange, str]
    """An entry, and the hash that whoever gave it says."""

COLUMNS = ("revision>", "when", "what", "of", "by", "proof", "reason")
_NAMED = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "audit")(audit)


def _file(text: str) -> Any:
    return typer.Option(help=text, dir_okay=False, show_default=False)


_Sources = Annotated[
    list[Path] | None,
    typer.Option(
        "--input",
        help="With --verify: files that --export or the registry wrote, oldest first, instead.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]


async def audit(
    cli: Cli,
    model: Annotated[str, typer.Option(help="Only changes of this model.")] = "",
    actor: Annotated[str, typer.Option(help="Only changes of this subject.")] = "",
    kind: Annotated[
        str, typer.Option(help="Only changes of this kind: route, alias.update, version.push.")
    ] = "",
    since: Annotated[
        str | None, typer.Option(help="A duration ago (2d, 12h) or a time (2026-11-29T18:00).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The same; changes of before then.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many; 0: all that are kept.", min=0)] = 50,
    verify: Annotated[
        bool, typer.Option("--verify", help="Verify the chain of hashes over all that is kept.")
    ] = False,
    export: Annotated[
        Path | None, _file("Write all that is kept to this file, a line each, with hashes.")
    ] = None,
    source: _Sources = None,
    against: Annotated[
        Path | None, _file("With --verify: a file of before, whose changes must still be the same.")
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Show what callers say of themselves, too.")
    ] = False,
) -> None:
    """Show the newest changes: who made them, how that was proved, and why.

    Of one model whoever may read it may ask; all, --verify and --export are for admins. The registry keeps
    the last 10,000 changes, and with --audit-folder all of them in files.
    """
    if verify or export:
        await _verify_and_export(cli, source or [], export, against, verify=verify)
        return
    if source or against:
        raise typer.BadParameter("--input and --against go with --verify")
    async with cli.client() as client:
        found = await client.audit(
            model=model,
            actor=actor,
            kind=kind,
            since=_moment(since, "--since"),
            until=_moment(until, "--until"),
            limit=limit,
        )
    cli.show(
        {"changes": [_document(change) for change in found]},
        lambda: output.table(COLUMNS, [_row(change, wide=wide) for change in found]),
    )


def _moment(text: str | None, flag: str) -> float | None:
    """Seconds since the epoch, of a duration ago or a time. Raises typer.BadParameter."""
    from headrace.cli.durations import seconds_in

    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    try:
        ago = seconds_in(text, flag)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{error}, or a time: 2026-11-29T18:00") from None
    assert ago is not None
    return time.time() - ago


def _document(change: LoggedChange) -> dict[str, Any]:
    return {name: value for name, value in asdict(change).items() if name != "stored"}


def _row(change: LoggedChange, *, wide: bool) -> tuple[object, ...]:
    more = f" and {len(change.further)} more" if change.further else ""
    by = f"{change.actor} (says {change.claim})" if wide and change.claim else change.actor
    return (
        change.revision,
        output.moment(change.at),
        printable(change.kind or "cannot be read"),
        printable(change.resource + more),
        printable(by),
        printable(change.proof),
        printable(change.reason),
    )


async def _verify_and_export(
    cli: Cli, source: list[Path], export: Path | None, against: Path | None, *, verify: bool
) -> None:
    from headrace.state.stored_changes import ChainCheck, line_of

    check = ChainCheck()
    newest: tuple[int, str] = (0, "")
    entries: Iterable[Entry] = _of_files(source)
    if not source:
        async with cli.client() as client:
            newest, entries = await _of_registry(client)
    known = {entry.revision: entry.hash for entry, _ in _of_files([against])} if against else {}
    lines: list[bytes] = []
    for entry, said in entries:
        check.take(entry, said)
        if known.get(entry.revision, entry.hash) != entry.hash:
            check.breaks.append(f"change {entry.revision} is another than in {against}")
        if export:
            lines.append(line_of(entry.entry))
    if not source:
        check.end_at(*newest)
    if export:
        _write(export, lines)
    _tell(cli, check, export, verify=verify)


async def _of_registry(client: AsyncClient) -> tuple[tuple[int, str], Iterable[Entry]]:
    from headrace.state.stored_changes import StoredChange

    newest = await client.newest_change()
    found = await client.audit(limit=0, oldest_first=True, with_stored=True)
    return newest, [(StoredChange(each.revision, each.stored), each.hash) for each in found]


def _of_files(files: Iterable[Path]) -> Iterator[Entry]:
    from headrace.state.stored_changes import read_file

    for file in files:
        yield from read_file(file)


def _write(file: Path, lines: list[bytes]) -> None:
    """Write a file that its owner alone may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.writelines(lines)


def _tell(cli: Cli, check: ChainCheck, export: Path | None, *, verify: bool) -> None:
    """Say what was found; with --verify a chain that breaks ends the command with status 1."""
    last = check.last.revision if check.last else 0
    document: dict[str, Any] = {
        "verified": not check.breaks,
        "count": check.count,
        "first": check.first,
        "last": last,
        "hash": check.last.hash if check.last else "",
        "breaks": check.breaks,
        "notes": check.notes,
    }
    lines = [f"wrote {check.count} changes to {export}"] if export else []
    if verify and not check.breaks:
        reach = f", {check.first} to {last}" if check.count else ""
        lines.append(f"verified {check.count} changes{reach}: each follows on the one before it")
    if verify and check.breaks:
        more = len(check.breaks) - _NAMED
        lines += [f"BROKEN: {each}" for each in check.breaks[:_NAMED]]
        lines += [f"and {more} more"] if more > 0 else []
    lines += check.notes
    cli.show(document, lambda: [printable(line) for line in lines])
    if verify and check.breaks:
        raise typer.Exit(1)
