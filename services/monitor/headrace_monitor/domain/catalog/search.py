"""Finds models by a text, and cuts lists into pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from headrace_monitor.domain.catalog.catalog import CatalogModel

Item = TypeVar("Item")


def fits(entry: CatalogModel, text: str) -> bool:
    """Return whether a text is in a model's name, description, labels or aliases, whatever its case."""
    return any(text in part.lower() for part in _parts(entry)) if text else True


def _parts(entry: CatalogModel) -> list[str]:
    model = entry.model
    labels = [f"{key}={value}" for key, value in model.labels.items()]
    return [model.name, model.description, *labels, *entry.aliases]


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list; pages count from 1."""

    items: Sequence[Item]
    total: int
    number: int
    size: int

    @property
    def count(self) -> int:
        """Return how many pages there are, at least one."""
        return max(1, -(-self.total // self.size))


def page_of(items: Sequence[Item], number: int, size: int) -> Page[Item]:
    """One page of a list; one beyond its end is empty."""
    start = (number - 1) * size
    return Page(items[start : start + size], len(items), number, size)
