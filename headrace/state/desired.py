"""The versions that every replica should hold: what the registry expects, and what replicas do."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.state.catalog import Catalog
from headrace.state.records import ModelRecord

Key = tuple[str, int]

_RANKS = {"stable": 0, "canary": 1, "match": 1, "shadow": 2}
"""The ranks of what a route names."""


def desired(catalog: Catalog) -> dict[Key, int]:
    """The versions that a replica should hold, with the rank in which to load them.

    0: what the route names as stable; 1: what else it names: canaries, and versions of match rules; 2: what
    an alias names, and the route's shadow; 3: what was stable before; 4: the newest `keep_latest`.
    """
    ranks: dict[Key, int] = {}
    for name in catalog.models:
        ranks.update(desired_of(catalog, name))
    return ranks


def desired_of(catalog: Catalog, model: str) -> dict[Key, int]:
    """The same of one model."""
    record = catalog.models.get(model)
    if record is None:
        return {}
    numbers = catalog.numbers_of(model)
    there = set(numbers)
    ranks: dict[Key, int] = {}
    for number, rank in _ranked(record, numbers):
        if number in there:
            ranks[model, number] = min(rank, ranks.get((model, number), rank))
    return ranks


def _ranked(model: ModelRecord, numbers: Sequence[int]) -> list[tuple[int, int]]:
    ranked: list[tuple[int, int]] = []
    if model.route is not None:
        ranked += [(number, _RANKS[role]) for role, number in model.route.named()]
        if model.route.previous is not None:
            ranked.append((model.route.previous, 3))
    ranked += [(alias.version, 2) for alias in model.aliases.values()]
    newest: Sequence[int] = numbers[-model.keep_latest :] if model.keep_latest else ()
    return ranked + [(number, 4) for number in newest]
