"""The catalog as the registry told it last, and how far that can be relied on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from headrace.client.resources import Alias, Model, Route, Version
from headrace.state.records import LoadState, ReplicaRecord
from headrace.state.route_records import KeySource

NOT_LOADED = "NOT_LOADED"
"""The state of a version that no replica holds."""

STANDBY = "STANDBY"
"""The state of one that no replica holds, and replicas load when a request asks for it."""

_BEST_FIRST = (LoadState.READY, LoadState.UNAVAILABLE, LoadState.LOADING, LoadState.UNLOADING)


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model with its versions, the newest first, its aliases by name, and its route, once it has one."""

    model: Model
    versions: Mapping[int, Version] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    route: Route | None = None
    left_out: int = 0
    """Older versions that are not kept here."""

    def roles_of(self, number: int) -> list[str]:
        """The places of a version in the route, and whether it is the newest."""
        route = self.route
        if route is None:
            return []
        canaries = [one for one in (route.canary, *route.more_canaries) if one is not None]
        named = (
            ("stable", number == route.stable),
            ("canary", any(one.version == number for one in canaries)),
            ("rule", any(rule.version == number for rule in route.matches)),
            ("shadow", route.shadow is not None and route.shadow.version == number),
            ("previous", number == route.previous),
            ("latest", number == max(self.versions, default=0)),
        )
        return [role for role, has in named if has]

    def route_headers(self) -> frozenset[str]:
        """The names, in lower case, of the headers that the route looks at."""
        route = self.route
        if route is None:
            return frozenset()
        keys = [route.sticky_key, *(rule.key for rule in route.matches)]
        return frozenset(
            key.name for key in keys if key is not None and key.source is KeySource.HEADER
        )

    def is_named(self, number: int) -> bool:
        """Return whether the route or an alias leads to a version, or it is the newest."""
        aliased = any(alias.version == number for alias in self.aliases.values())
        return aliased or any(role != "previous" for role in self.roles_of(number))


class Holding(NamedTuple):
    """A version on one replica."""

    replica: str
    state: LoadState
    reason: str
    memory_bytes: int
    provider: str


@dataclass(frozen=True, slots=True)
class Replicas:
    """The replicas that are there, and by model and number what they hold of a version."""

    records: tuple[ReplicaRecord, ...] = ()
    holdings: Mapping[tuple[str, int], tuple[Holding, ...]] = field(default_factory=dict)

    load_on_request: bool = False
    """Whether some load what a name leads to when it is asked for."""
    states: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """The state over all replicas, of what any holds: lists of models ask for thousands."""

    def of(self, model: str, number: int) -> tuple[Holding, ...]:
        """A version on all replicas that hold it."""
        return self.holdings.get((model, number), ())

    def state(self, entry: CatalogModel, number: int) -> str:
        """The state of a version over all replicas."""
        state = self.states.get((entry.model.name, number), NOT_LOADED)
        if state == NOT_LOADED and self.load_on_request and entry.is_named(number):
            return STANDBY
        return state


def replicas_of(records: Iterable[ReplicaRecord]) -> Replicas:
    """Sort what replicas hold by version."""
    records = tuple(records)
    holdings: dict[tuple[str, int], list[Holding]] = defaultdict(list)
    for record in records:
        for each in record.versions:
            holding = Holding(record.id, each.state, each.reason, each.memory_bytes, each.provider)
            holdings[each.model, each.number].append(holding)
    by_version = {key: tuple(found) for key, found in holdings.items()}
    states = {key: state_over(found) for key, found in by_version.items()}
    return Replicas(records, by_version, any(record.loads_on_request for record in records), states)


def state_over(holdings: Iterable[Holding]) -> str:
    """The state of a version over all replicas: READY where any serves it."""
    states = {holding.state for holding in holdings}
    return next((state.value for state in _BEST_FIRST if state in states), NOT_LOADED)


def reasons_over(holdings: Iterable[Holding]) -> list[str]:
    """The different reasons for which replicas could not load a version."""
    return list(dict.fromkeys(each.reason for each in holdings if each.reason))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known at one moment; it never changes."""

    models: Mapping[str, CatalogModel] = field(default_factory=dict)
    replicas: Replicas = Replicas()
    revision: int = 0
    is_complete: bool = True
    """Whether it has all models of the registry."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a snapshot can be relied on: its age in seconds, and what keeps the registry from telling."""

    is_known: bool
    is_connected: bool
    age_seconds: float
    problem: str = ""


class Catalog(Protocol):
    """What follows the registry, for everybody who asks in whatever thread."""

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""

    def freshness(self) -> Freshness:
        """How far that can be relied on."""
