"""`headrace lineage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.lifecycle.versions.lineage import LineageNode


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "lineage")(lineage)


async def lineage(cli: Cli, name: ModelName) -> None:
    """Show which versions of a model were made of which, and how."""
    from headrace.lifecycle.versions.lineage import lineage_trees

    async with cli.client() as client:
        versions = await client.versions(name)
        said = [await client.annotations(name, each.number) for each in versions]
    trees = lineage_trees({each.version: each.lineage for each in said})
    cli.show(
        {"model": name, "versions": trees},
        lambda: (
            [_line(depth, node) for tree in trees for depth, node in tree.walk()]
            or [f"{name} has no versions"]
        ),
    )


def _line(depth: int, node: LineageNode) -> str:
    """A version, a step to the right of the one that it was made of."""
    head = f"{'   ' * (depth - 1)}└─ " if depth else ""
    if not node.present:
        return f"{head}version {node.version} (deleted)"
    made = node.lineage
    if made is None:
        return f"{head}version {node.version}"
    facts = [made.method, made.source_revision[:12], made.training_run]
    told = ", ".join(filter(None, facts))
    return f"{head}version {node.version}{f': {printable(told)}' if told else ''}"
