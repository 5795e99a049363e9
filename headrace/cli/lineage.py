"""`headrace lineage`."""

from __future__ import annotations

from collections.abc import Sequence
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
        found = await client.search_versions(model=name)
    aliases = {each.version.number: each.aliases for each in found}
    trees = lineage_trees({each.version.number: each.annotations.lineage for each in found})
    lines = [
        _line(depth, node, aliases.get(node.version, ()))
        for tree in trees
        for depth, node in tree.walk()
    ]
    cli.show({"model": name, "versions": trees}, lambda: lines or [f"{name} has no versions"])


def _line(depth: int, node: LineageNode, aliases: Sequence[str]) -> str:
    """A version, a step to the right of the one that it was made of."""
    head = f"{'   ' * (depth - 1)}└─ " if depth else ""
    if not node.present:
        return f"{head}version {node.version} (deleted)"
    named = f" ({', '.join(aliases)})" if aliases else ""
    made = node.lineage
    facts = [made.method, _short(made.source_revision), made.training_run] if made else []
    told = printable(", ".join(filter(None, facts)))
    return f"{head}version {node.version}{named}{f': {told}' if told else ''}"


def _short(revision: str) -> str:
    """The beginning of a commit, and that files differed from it if they did."""
    commit, mark, _ = revision.partition("-dirty")
    return commit[:12] + mark
