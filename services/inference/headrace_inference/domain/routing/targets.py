"""The targets of names: one version, or a choice of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace.state.route_records import MatchRule, RequestKey
from headrace_inference.domain.routing.request_share import RequestShare
from headrace_inference.domain.routing.request_texts import (
    NO_REQUEST,
    RoutedRequest,
    place_of,
    text_of,
)
from headrace_inference.domain.versions.loaded_version import LoadedVersion

STABLE, CANARY, PINNED, ALIAS, HELD = "stable", "canary", "pinned", "alias", "held"
MATCHED, STICKY = "matched", "sticky"
"""Why a version answered: it is stable, on trial, asked for by number or by alias; or it is what a name
led to before, held while the successor is not ready here; or a match rule or the sticky key led to it."""

Picked = tuple[LoadedVersion, str]
"""The version that answers a request, and why."""


@dataclass(frozen=True, slots=True)
class ShadowTarget:
    """A version that gets copies of a share of the requests."""

    served: LoadedVersion
    share_percent: float
    share: RequestShare

    def is_due(self) -> bool:
        """Return whether the next request is copied; once for each request, since it takes a turn."""
        return self.share.take_turn(self.share_percent)


class Target(Protocol):
    """The target of a name."""

    @property
    def served(self) -> LoadedVersion:
        """The version that questions about the name are about: stable, where there is a choice."""

    @property
    def shadow(self) -> ShadowTarget | None:
        """Return which version gets copies of the requests, if any does."""

    def pick(self, request: RoutedRequest = NO_REQUEST) -> Picked:
        """Return where this request goes; once for each request, since it may take a turn."""

    def pick_again(self, reason: str, number: int, request: RoutedRequest = NO_REQUEST) -> Picked:
        """Return where a request goes whose version, picked for this reason, is gone: no new turn."""

    def give_back(self, reason: str, number: int) -> None:
        """A request was refused for what it is by the version that it was picked for: it takes no turn."""


@dataclass(frozen=True, slots=True)
class SingleTarget:
    """Always the same version."""

    served: LoadedVersion
    reason: str
    shadow: ShadowTarget | None = None

    def pick(self, request: RoutedRequest = NO_REQUEST) -> Picked:  # noqa: ARG002  # there is no choice
        """The version."""
        return self.served, self.reason

    def pick_again(
        self,
        reason: str,  # noqa: ARG002  # there are no turns
        number: int,  # noqa: ARG002
        request: RoutedRequest = NO_REQUEST,  # noqa: ARG002
    ) -> Picked:
        """The version."""
        return self.served, self.reason

    def give_back(self, reason: str, number: int) -> None:
        """There are no turns."""


@dataclass(frozen=True, slots=True)
class WeightedVersion:
    """A version that gets a share of the requests."""

    served: LoadedVersion
    weight_percent: float
    share: RequestShare

    @property
    def number(self) -> int:
        """Its number."""
        return self.served.record.number


@dataclass(frozen=True, slots=True)
class WeightedTarget:
    """A stable version, and canaries that get shares of the requests."""

    stable: SingleTarget
    canaries: tuple[WeightedVersion, ...]
    shadow: ShadowTarget | None = None

    @property
    def served(self) -> LoadedVersion:
        """The stable version."""
        return self.stable.served

    def pick(self, request: RoutedRequest = NO_REQUEST) -> Picked:  # noqa: ARG002  # weights alone choose
        """Stable, or the canary whose share is due."""
        due: LoadedVersion | None = None
        for canary in self.canaries:
            if due is not None:
                canary.share.wait_turn(canary.weight_percent)
            elif canary.share.take_turn(canary.weight_percent):
                due = canary.served
        return self.stable.pick() if due is None else (due, CANARY)

    def pick_again(
        self,
        reason: str,
        number: int,
        request: RoutedRequest = NO_REQUEST,  # noqa: ARG002  # its turn says it
    ) -> Picked:
        """The canary if it was a canary's turn, else stable."""
        if reason != CANARY:
            return self.stable.pick()
        for canary in self.canaries:
            if canary.number == number:
                return canary.served, CANARY
        return self.stable.pick()  # its trial ended meanwhile

    def give_back(self, reason: str, number: int) -> None:
        """Give the turn back, unless another version might have taken the request.

        A canary that refuses what stable takes would be next again, and again.
        """
        if not all(_check_alike(self.served, canary.served) for canary in self.canaries):
            return
        for canary in self.canaries:
            taken = reason == CANARY and number == canary.number
            canary.share.give_back(canary.weight_percent, taken=taken)


@dataclass(frozen=True, slots=True)
class SelectiveTarget:
    """A choice by what requests say: by match rules, then by a sticky key, and else by weights.

    `rules` come with the place of their key among `keys`, so that each text is read once.
    `edges` are the places at which the canaries' shares of the sticky texts end, in their order, with None
    for one that is not ready: its texts go to stable meanwhile, and to it when it is.
    """

    model: str
    weighted: SingleTarget | WeightedTarget
    keys: Sequence[RequestKey]
    rules: Sequence[tuple[int, MatchRule, LoadedVersion]]
    sticky_key: RequestKey | None = None
    edges: Sequence[tuple[float, LoadedVersion | None]] = ()
    shadow: ShadowTarget | None = None

    @property
    def served(self) -> LoadedVersion:
        """The stable version."""
        return self.weighted.served

    def pick(self, request: RoutedRequest = NO_REQUEST) -> Picked:
        """Return what the request's texts say, or else the weights."""
        return self._select(request) or self.weighted.pick(request)

    def pick_again(self, reason: str, number: int, request: RoutedRequest = NO_REQUEST) -> Picked:
        """Return what the request's texts say now; its turn is kept where the weights chose."""
        return self._select(request) or self.weighted.pick_again(reason, number, request)

    def give_back(self, reason: str, number: int) -> None:
        """Give the turn back, if there was one."""
        if reason not in (MATCHED, STICKY):
            self.weighted.give_back(reason, number)

    def _select(self, request: RoutedRequest) -> Picked | None:
        if self.rules and (version := self._matched(request)) is not None:
            return version, MATCHED
        text = text_of(request, self.sticky_key) if self.sticky_key else ""
        return (self._stuck(text), STICKY) if text else None

    def _matched(self, request: RoutedRequest) -> LoadedVersion | None:
        texts: dict[int, str] = {}
        for place, rule, version in self.rules:
            text = texts.get(place)
            if text is None:
                text = texts[place] = text_of(request, self.keys[place])
            if rule.matches(text):
                return version
        return None

    def _stuck(self, text: str) -> LoadedVersion:
        place = place_of(self.model, text)
        for edge, version in self.edges:
            if place < edge:
                return self.served if version is None else version
        return self.served


def _check_alike(one: LoadedVersion, other: LoadedVersion) -> bool:
    """Return whether two versions refuse the same requests."""
    first, second = one.record, other.record
    if first.signature != second.signature:
        return False
    ours, theirs = first.config.batching, second.config.batching
    return (ours.max_batch_size, ours.allow_larger_requests) == (
        theirs.max_batch_size,
        theirs.allow_larger_requests,
    )
