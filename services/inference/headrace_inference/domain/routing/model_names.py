"""Resolves the names of one model: its own, those of its versions, and those of its aliases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from headrace.state.catalog import Catalog
from headrace.state.records import ModelRecord
from headrace_inference.domain.routing.request_share import RequestShare
from headrace_inference.domain.routing.route_targets import routed, shared_numbers
from headrace_inference.domain.routing.targets import (
    ALIAS,
    HELD,
    PINNED,
    STABLE,
    SingleTarget,
    Target,
)
from headrace_inference.domain.versions.identity import is_other, record_in
from headrace_inference.domain.versions.loaded_version import LoadedVersion

Key = tuple[str, int]
Ready = Mapping[Key, LoadedVersion]
StandsBy = Callable[[Key], bool]
"""Whether a version that is not ready is loaded when a request asks for it."""


def never(_: Key) -> bool:
    """Return where all that is wanted is loaded, nothing stands by."""
    return False


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names of a model, each with its target; they change together.

    `effective` is the version that answers, by alias or '' for the route's stable: what the shared state
    names once it is ready here, and what it named before until then.
    """

    targets: Mapping[tuple[str, str], Target] = field(default_factory=dict)
    """By (model_name, model_version) of a request."""
    effective: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[int, RequestShare] = field(default_factory=dict)
    """What canaries and the shadow are owed, by their numbers: it outlives these names."""


NO_NAMES = ModelNames()


def resolve(
    name: str,
    catalogs: tuple[Catalog, Catalog],
    ready: Ready,
    former: ModelNames,
    stands_by: StandsBy,
) -> ModelNames:
    """The names of a model by the present one of two catalogs, after those by the one before."""
    catalog = catalogs[0]
    targets: dict[tuple[str, str], Target] = {
        (name, str(number)): SingleTarget(served, PINNED)
        for number in catalog.numbers_of(name)
        if (served := ready.get((name, number))) is not None
    }
    model = catalog.models.get(name)
    if model is None:
        return ModelNames(targets)
    shares = _shares(model, catalogs, former)
    effective = {}
    for alias, fixed in _named(model, ready, former.effective, stands_by):
        effective[alias] = fixed.served.record.number
        if alias:
            targets[name, alias] = targets[f"{name}@{alias}", ""] = fixed
        else:
            targets[name, ""] = routed(model, ready, fixed, shares)
    return ModelNames(targets, effective, shares)


def _shares(
    model: ModelRecord, catalogs: tuple[Catalog, Catalog], former: ModelNames
) -> dict[int, RequestShare]:
    """Return what those with a share are owed: as before, also while they are not ready."""
    return {
        number: _share((model.name, number), catalogs, former.shares.get(number))
        for number in shared_numbers(model)
    }


def _share(key: Key, catalogs: tuple[Catalog, Catalog], share: RequestShare | None) -> RequestShare:
    """The version's own, or a new one where its number was another version's."""
    catalog, before = catalogs[0], record_in(catalogs[1], key)
    changed = before is not None and is_other(before, key, catalog)
    return RequestShare() if share is None or changed else share


def _named(
    model: ModelRecord, ready: Ready, former: Mapping[str, int], stands_by: StandsBy
) -> Iterator[tuple[str, SingleTarget]]:
    """Yield what each alias, and '' for the route, leads to, where it leads to anything that is ready."""
    wanted = {alias: (ALIAS, [record.version]) for alias, record in model.aliases.items()}
    if model.route is not None:
        numbers = [model.route.stable]
        if model.route.previous is not None:
            numbers.append(model.route.previous)
        wanted[""] = (STABLE, numbers)
    for name, (reason, numbers) in wanted.items():
        for number in _candidates(model.name, numbers, former.get(name), stands_by):
            if (served := ready.get((model.name, number))) is not None:
                yield name, SingleTarget(served, reason if number == numbers[0] else HELD)
                break


def _candidates(
    model: str, numbers: list[int], before: int | None, stands_by: StandsBy
) -> list[int]:
    """The versions that may answer for a name, the best first: what it names, and what it led to before.

    What only stands by is loaded rather than answered for by one that was stable before it.
    """
    first = numbers[:1] if before is None else [numbers[0], before]
    return first if stands_by((model, numbers[0])) else first + numbers[1:]
