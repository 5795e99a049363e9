"""The tree of a model's versions: which was made of which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.client import Lineage


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A version in the tree, and those that were made of it."""

    version: int
    lineage: Lineage | None
    present: bool = True
    """Whether the version is there; one that was deleted is known from those that were made of it."""
    children: tuple[LineageNode, ...] = field(default=())

    def walk(self, depth: int = 0) -> Iterator[tuple[int, LineageNode]]:
        """The node and all below it, with their depths."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


def lineage_trees(lineages: Mapping[int, Lineage | None]) -> tuple[LineageNode, ...]:
    """The trees of versions by what is said of each; those that were made of none are the roots.

    A version is always made of an older one, so there are no circles.
    """
    parents = {number: one.parent_version if one else 0 for number, one in lineages.items()}
    gone = {parent for parent in parents.values() if parent and parent not in lineages}
    children: dict[int, list[int]] = {}
    for number in sorted(lineages):
        children.setdefault(parents[number], []).append(number)
    nodes: dict[int, LineageNode] = {}
    for number in sorted([*lineages, *gone], reverse=True):
        below: Sequence[int] = children.get(number, ())
        nodes[number] = LineageNode(
            number, lineages.get(number), number in lineages, tuple(nodes[each] for each in below)
        )
    return tuple(nodes[each] for each in sorted([*children.get(0, ()), *gone]))
