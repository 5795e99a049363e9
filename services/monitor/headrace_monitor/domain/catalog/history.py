"""What was changed of a model, and how its route spread requests from then on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headrace.client.resources import Route, Version


@dataclass(frozen=True, slots=True)
class Mark:
    """A change of a model: when it was made, by whom, and why. `at` is in seconds since the epoch."""

    revision: int
    at: float
    kind: str
    resource: str
    actor: str
    reason: str
    further: tuple[str, ...] = ()
    proof: str = ""
    """How it was proved who made it."""
    claim: str = ""
    """What he called himself, where another name was proved."""
    peer: str = ""
    request_id: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True)
class ChangesQuery:
    """A question about the log of changes: '' and 0 stand for all."""

    model: str = ""
    actor: str = ""
    kind: str = ""
    since: float = 0.0
    until: float = 0.0
    size: int = 100
    page: str = ""


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """A page of the log of changes, the newest first; `next_page` is '' on the last."""

    changes: tuple[Mark, ...]
    next_page: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """The changes of a model that are kept, and its routes with their revisions, both the oldest first."""

    marks: tuple[Mark, ...] = ()
    routes: tuple[tuple[int, Route], ...] = ()

    def pushers(self) -> Mapping[int, str]:
        """Who pushed each version, as far as that is known."""
        return {
            number: mark.actor
            for mark in self.marks
            for resource in (mark.resource, *(each.rpartition(" ")[2] for each in mark.further))
            if mark.kind == "version.push" and (number := _number(resource))
        }

    def weights(self, start: float, end: float) -> list[WeightsFrom]:
        """How requests were spread between two times; the first entry began at the start or before."""
        found = [_weights_from(revision, route) for revision, route in self.routes]
        before = [one for one in found if one.at <= start][-1:]
        return before + [one for one in found if start < one.at <= end]


@dataclass(frozen=True, slots=True)
class WeightsFrom:
    """The weights in percent by version that a route had from a time on."""

    revision: int
    at: float
    weights: Mapping[int, float] = field(default_factory=dict)


def _weights_from(revision: int, route: Route) -> WeightsFrom:
    return WeightsFrom(revision, route.updated_at, weights_of(route))


def weights_of(route: Route) -> dict[int, float]:
    """The percentage of requests that each version gets; stable has what no canary takes."""
    canaries = [one for one in (route.canary, *route.more_canaries) if one is not None]
    weights = {route.stable: 100.0 - sum(one.weight_percent for one in canaries)}
    for one in canaries:
        weights[one.version] = weights.get(one.version, 0.0) + one.weight_percent
    return weights


def _number(resource: str) -> int:
    name = resource.rpartition("/versions/")[2]
    return int(name) if name.isdigit() else 0


def routes_in(changes: Iterable[tuple[int, object]]) -> tuple[tuple[int, Route], ...]:
    """The routes that changes left, by revision; the first version is stable from its push on."""
    found = []
    for revision, after in changes:
        if isinstance(after, Route):
            found.append((revision, after))
        elif isinstance(after, Version) and after.number == 1:
            route = Route(after.model, after.number, updated_at=after.created_at)
            found.append((revision, route))
    return tuple(found)
