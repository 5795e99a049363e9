"""The nouns of a route: how the requests of a model that name no version are spread."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Canary:
    """A version that gets `weight_percent` (over 0, up to 100) of the requests that name no version."""

    version: int
    weight_percent: float


class KeySource(enum.StrEnum):
    """The place of a text in a request: its parameters, or its gRPC metadata or HTTP headers."""

    PARAMETER = "parameter"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Names a text of a request: a parameter, or a header in lower case."""

    source: KeySource
    name: str

    def __str__(self) -> str:
        """`header:x-user`, as the command line writes it."""
        return f"{self.source}:{self.name}"


@dataclass(frozen=True, slots=True)
class MatchRule:
    """Sends requests whose key equals a text, or begins with one, to a version; one of both is given."""

    key: RequestKey
    version: int
    equals: str = ""
    prefix: str = ""

    def matches(self, text: str) -> bool:
        """True where a request with this key is meant."""
        return text.startswith(self.prefix) if self.prefix else text == self.equals


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that gets copies of so many percent of the requests: it answers nobody, and is counted."""

    version: int
    share_percent: float


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """A route, for requests that name no version; `previous` was stable before, and stays loaded.

    The first of the `matches` that fits a request decides; then its sticky key, if it has one, chooses
    among stable and the canaries; without one, the weights do.
    """

    stable: int
    canary: Canary | None = None
    previous: int | None = None
    updated_at: float = 0.0
    revision: int = 0
    more_canaries: tuple[Canary, ...] = ()
    """Further versions on trial, each with a weight of its own; there is a `canary` then."""
    sticky_key: RequestKey | None = None
    matches: tuple[MatchRule, ...] = ()
    shadow: Shadow | None = None

    @property
    def canaries(self) -> tuple[Canary, ...]:
        """All versions on trial."""
        return self.more_canaries if self.canary is None else (self.canary, *self.more_canaries)

    def named(self) -> Iterator[tuple[str, int]]:
        """The versions that it sends requests to, each with its role; `previous` is none of them."""
        yield "stable", self.stable
        for canary in self.canaries:
            yield "canary", canary.version
        for rule in self.matches:
            yield "match", rule.version
        if self.shadow is not None:
            yield "shadow", self.shadow.version
