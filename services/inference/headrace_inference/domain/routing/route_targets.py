"""Makes the target of a route out of the versions that are ready: the plainest that does what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from headrace.state.records import ModelRecord
from headrace.state.route_records import RouteRecord
from headrace_inference.domain.routing.request_share import RequestShare
from headrace_inference.domain.routing.targets import (
    SelectiveTarget,
    ShadowTarget,
    SingleTarget,
    Target,
    WeightedTarget,
    WeightedVersion,
)
from headrace_inference.domain.versions.loaded_version import LoadedVersion

Ready = Mapping[tuple[str, int], LoadedVersion]
Shares = Mapping[int, RequestShare]


def shared_numbers(model: ModelRecord) -> Iterator[int]:
    """The versions that a model's route gives a share of the requests, or of their copies."""
    if model.route is None:
        return
    for canary in model.route.canaries:
        yield canary.version
    if model.route.shadow is not None:
        yield model.route.shadow.version


def routed(model: ModelRecord, ready: Ready, stable: SingleTarget, shares: Shares) -> Target:
    """Return where requests go that name no version, given what answers them as stable."""
    route = model.route
    if route is None:
        return stable
    here = {
        number: version
        for _, number in route.named()
        if (version := ready.get((model.name, number))) is not None
    }
    shadow = _shadow(route, here, shares)
    stable = replace(stable, shadow=shadow)
    weighted = _weighted(route, here, stable, shares)
    keys = list(dict.fromkeys(rule.key for rule in route.matches))
    rules = [
        (keys.index(rule.key), rule, here[rule.version])
        for rule in route.matches
        if rule.version in here
    ]
    if not rules and (route.sticky_key is None or not route.canaries):
        return weighted
    edges = _edges(route, here)
    return SelectiveTarget(model.name, weighted, keys, rules, route.sticky_key, edges, shadow)


def _weighted(
    route: RouteRecord, here: Mapping[int, LoadedVersion], stable: SingleTarget, shares: Shares
) -> SingleTarget | WeightedTarget:
    canaries = tuple(
        WeightedVersion(here[one.version], one.weight_percent, shares[one.version])
        for one in route.canaries
        if one.version in here
    )
    return WeightedTarget(stable, canaries, stable.shadow) if canaries else stable


def _edges(
    route: RouteRecord, here: Mapping[int, LoadedVersion]
) -> list[tuple[float, LoadedVersion | None]]:
    edges: list[tuple[float, LoadedVersion | None]] = []
    edge = 0.0
    for canary in route.canaries:
        edge += canary.weight_percent
        edges.append((edge, here.get(canary.version)))
    return edges


def _shadow(
    route: RouteRecord, here: Mapping[int, LoadedVersion], shares: Shares
) -> ShadowTarget | None:
    shadow = route.shadow
    version = here.get(shadow.version) if shadow else None
    if shadow is None or version is None:
        return None
    return ShadowTarget(version, shadow.share_percent, shares[shadow.version])
