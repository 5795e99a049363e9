"""The versions that every replica should hold: what the registry expects, and what replicas do."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.state.records import Catalog, ModelRecord

Key = tuple[str, int]


def desired(catalog: Catalog) -> dict[Key, int]:
    """The versions that a replica should hold, with the rank in which to load them.

    0: what the route names as stable; 1: its canary; 2: what an alias names; 3: what was stable before;
    4: the newest `keep_latest`.
    """
    numbers: dict[str, list[int]] = {name: [] for name in catalog.models}
    for name, number in catalog.versions:
        numbers.setdefault(name, []).append(number)
    ranks: dict[Key, int] = {}
    for name, model in catalog.models.items():
        for number, rank in _ranked(model, sorted(numbers[name])):
            key = (name, number)
            if key in catalog.versions:
                ranks[key] = min(rank, ranks.get(key, rank))
    return ranks


def _ranked(model: ModelRecord, numbers: Sequence[int]) -> list[tuple[int, int]]:
    ranked: list[tuple[int, int]] = []
    if model.route is not None:
        ranked.append((model.route.stable, 0))
        if model.route.canary is not None:
            ranked.append((model.route.canary.version, 1))
        if model.route.previous is not None:
            ranked.append((model.route.previous, 3))
    ranked += [(alias.version, 2) for alias in model.aliases.values()]
    newest: Sequence[int] = numbers[-model.keep_latest :] if model.keep_latest else ()
    return ranked + [(number, 4) for number in newest]
