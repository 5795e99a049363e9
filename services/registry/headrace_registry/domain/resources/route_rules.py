"""Decides whether a route makes sense in itself: its numbers, weights, keys and match rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace import errors
from headrace.errors import FieldViolation
from headrace.state.route_records import (
    Canary,
    KeySource,
    MatchRule,
    RequestKey,
    RouteRecord,
    Shadow,
)

MAX_MORE_CANARIES = 8
MAX_MATCH_RULES = 32
MAX_NAME_CHARS = 128
MAX_TEXT_CHARS = 256
_HEADER = re.compile(r"[a-z0-9_.-]+")
_WHOLE = 100 + 1e-9
"""Weights such as 33.3, 33.3 and 33.4 add up to a little more in floating point."""


def check_route(route: RouteRecord) -> None:
    """Pass if the route makes sense. Raises InvalidArgument (ROUTE_INVALID) that names the wrong fields."""
    violations = tuple(_violations(route))
    if violations:
        listed = "; ".join(f"{wrong.field}: {wrong.description}" for wrong in violations)
        raise errors.InvalidArgument(
            "ROUTE_INVALID", f"the route is not valid: {listed}", violations=violations
        )


def _violations(route: RouteRecord) -> Iterator[FieldViolation]:
    if route.stable < 1:
        yield _not_a_version("route.stable_version", route.stable)
    yield from _of_canaries(route)
    if route.sticky_key is not None:
        yield from _of_key("route.sticky_key", route.sticky_key)
    if len(route.matches) > MAX_MATCH_RULES:
        yield _too_many("route.match_rules", len(route.matches), MAX_MATCH_RULES)
    for place, rule in enumerate(route.matches[:MAX_MATCH_RULES]):
        yield from _of_rule(f"route.match_rules[{place}]", rule)
    if route.shadow is not None:
        yield from _of_shadow(route, route.shadow)


def _of_canaries(route: RouteRecord) -> Iterator[FieldViolation]:
    more = route.more_canaries
    if more and route.canary is None:
        yield FieldViolation("route.more_canaries", "set canary first: these come beside it")
    if len(more) > MAX_MORE_CANARIES:
        yield _too_many("route.more_canaries", len(more), MAX_MORE_CANARIES)
        return
    seen = {route.stable: "is the stable version already"}
    if route.canary is not None:
        yield from _of_canary("route.canary", route.canary, seen)
    for place, canary in enumerate(more):
        yield from _of_canary(f"route.more_canaries[{place}]", canary, seen)
    together = sum(canary.weight_percent for canary in route.canaries)
    if more and together > _WHOLE:
        yield FieldViolation(
            "route.more_canaries", f"all weights together are {together:g}, over 100"
        )


def _of_canary(field: str, canary: Canary, seen: dict[int, str]) -> Iterator[FieldViolation]:
    if canary.version in seen:
        yield FieldViolation(f"{field}.version", f"{canary.version} {seen[canary.version]}")
    elif canary.version < 1:
        yield _not_a_version(f"{field}.version", canary.version)
    seen.setdefault(canary.version, "is a canary already")
    yield from _of_percent(f"{field}.weight_percent", canary.weight_percent)


def _of_key(field: str, key: RequestKey) -> Iterator[FieldViolation]:
    if not key.name or len(key.name) > MAX_NAME_CHARS:
        yield FieldViolation(
            field, f"name a header or a parameter, in up to {MAX_NAME_CHARS} characters"
        )
    elif key.source is KeySource.HEADER and not _is_header(key.name):
        yield FieldViolation(
            f"{field}.header",
            f"{key.name!r} is not a valid name of a header: use a-z, 0-9, '_', '.' and '-', and no "
            "'-bin' at the end, which marks metadata that is not text",
        )


def _is_header(name: str) -> bool:
    return _HEADER.fullmatch(name) is not None and not name.endswith("-bin")


def _of_rule(field: str, rule: MatchRule) -> Iterator[FieldViolation]:
    yield from _of_key(f"{field}.key", rule.key)
    text = rule.equals or rule.prefix
    if bool(rule.equals) == bool(rule.prefix):
        yield FieldViolation(field, "give either equals or prefix, with a text that is not empty")
    elif len(text) > MAX_TEXT_CHARS:
        yield FieldViolation(field, f"its text has {len(text)} characters, over {MAX_TEXT_CHARS}")
    if rule.version < 1:
        yield _not_a_version(f"{field}.version", rule.version)


def _of_shadow(route: RouteRecord, shadow: Shadow) -> Iterator[FieldViolation]:
    if shadow.version < 1:
        yield _not_a_version("route.shadow.version", shadow.version)
    elif shadow.version == route.stable:
        yield FieldViolation("route.shadow.version", f"{shadow.version} is the stable version")
    elif shadow.version in [canary.version for canary in route.canaries]:
        yield FieldViolation("route.shadow.version", f"{shadow.version} is a canary")
    yield from _of_percent("route.shadow.share_percent", shadow.share_percent)


def _of_percent(field: str, percent: float) -> Iterator[FieldViolation]:
    if not 0 < percent <= 100:
        yield FieldViolation(field, f"{percent:g} is not over 0 and up to 100")


def _not_a_version(field: str, number: int) -> FieldViolation:
    return FieldViolation(field, f"{number} is not a version: they start at 1")


def _too_many(field: str, count: int, most: int) -> FieldViolation:
    return FieldViolation(field, f"there are {count}; at most {most} are allowed")
