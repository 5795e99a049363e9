"""`headrace model`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace import errors
from headrace.cli import output
from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Model

TRIES = 5
"""Labels are read, changed and written on what was read; others may be faster."""


Description = Annotated[
    str | None, typer.Option(help="What it is for; '' for nothing.", show_default=False)
]
Labels = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Add a label, or change it. May be repeated."),
]
RemovedLabels = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY", help="Remove a label, if it is there. May be repeated."),
]
KeepLatest = Annotated[
    int | None,
    typer.Option(help="How many of its newest versions stay loaded.", show_default=False),
]
Pinned = Annotated[
    bool | None,
    typer.Option(
        "--pin/--unpin",
        help="Whether its versions stay loaded on replicas that unload what is not used.",
        show_default=False,
    ),
]
Protected = Annotated[
    bool | None,
    typer.Option(
        "--protect/--unprotect",
        help="Whether it cannot be deleted, forced or not.",
        show_default=False,
    ),
]
Create = Annotated[bool, typer.Option("--create", help="Make it; it is not there yet.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "model", changes=True)(model)


async def model(
    cli: Cli,
    name: ModelName,
    description: Description = None,
    label: Labels = None,
    remove_label: RemovedLabels = None,
    keep_latest: KeepLatest = None,
    pinned: Pinned = None,
    protected: Protected = None,
    create: Create = False,
) -> None:
    """Show a model, or change its description, its labels, its protection and which of its versions stay
    loaded."""
    added, removed = parse_labels(label or []), set(remove_label or [])
    if added.keys() & removed:
        raise typer.BadParameter(f"label {min(added.keys() & removed)!r} is both set and removed")
    plain: dict[str, Any] = {
        "description": description,
        "keep_latest": keep_latest,
        "pinned": pinned,
        "protected": protected,
    }
    given = {key: value for key, value in plain.items() if value is not None}
    async with cli.client() as client:
        if create:
            if removed:
                raise typer.BadParameter("--remove-label goes with a model that is there")
            found = await client.create_model(name, labels=added, **given)
        elif added or removed:
            found = await _relabel(client, name, added, removed, given)
        else:
            found = await client.update_model(name, **given)
    cli.show(found, lambda: _lines(found))


def parse_labels(texts: Sequence[str]) -> dict[str, str]:
    """Labels from KEY=VALUE, the last of a key counts. Raises typer.BadParameter."""
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise typer.BadParameter(f"--label {text[:40]!r} is not KEY=VALUE")
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


async def _relabel(
    client: AsyncClient,
    name: str,
    added: dict[str, str],
    removed: set[str],
    given: dict[str, Any],
) -> Model:
    """Change some labels and leave the others, whatever is done to the model at the same time."""
    for tries_left in reversed(range(TRIES)):
        before = await client.model(name)
        kept = {key: value for key, value in before.labels.items() if key not in removed}
        try:
            return await client.update_model(name, labels=kept | added, etag=before.etag, **given)
        except errors.Aborted:
            if not tries_left:
                raise
    raise AssertionError("not reached")


def _lines(found: Model) -> list[str]:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(found.labels.items()))
    facts = {
        "model": found.name,
        **({"kind": found.kind} if found.kind else {}),
        "description": found.description or "-",
        "labels": labels or "-",
        "keep latest": found.keep_latest,
        "pinned": "yes" if found.pinned else "no",
        "protected": "yes" if found.protected else "no",
        "newest": found.last_version or "-",
        "created": output.moment(found.created_at),
    }
    return [f"{name:<12} {printable(str(value))}" for name, value in facts.items()]
