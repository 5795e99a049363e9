"""What the names that can be asked for lead to: one version, or a choice of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from headrace_inference.domain.routing.canary_share import CanaryShare
from headrace_inference.domain.versions.loaded_version import LoadedVersion

STABLE, CANARY, PINNED, ALIAS, HELD = "stable", "canary", "pinned", "alias", "held"
"""Why a version answered: it is stable, on trial, asked for by number or by alias; or it is what a name
led to before, held while the successor is not ready here."""

Picked = tuple[LoadedVersion, str]
"""The version that answers a request, and why."""


class Target(Protocol):
    """What a name leads to."""

    @property
    def served(self) -> LoadedVersion:
        """The version that questions about the name are about: stable, where there is a choice."""

    def pick(self) -> Picked:
        """Where this request goes; once for each request, since it takes a turn."""

    def pick_again(self, reason: str) -> Picked:
        """Where a request goes that was picked for this reason and found its version gone: no new turn."""

    def give_back(self, reason: str) -> None:
        """A request that was picked for this reason was refused for what it is: it takes no turn."""


@dataclass(frozen=True, slots=True)
class SingleTarget:
    """Always the same version."""

    served: LoadedVersion
    reason: str

    def pick(self) -> Picked:
        """The version."""
        return self.served, self.reason

    def pick_again(self, reason: str) -> Picked:  # noqa: ARG002  # there are no turns
        """The version."""
        return self.served, self.reason

    def give_back(self, reason: str) -> None:
        """There are no turns."""


@dataclass(frozen=True, slots=True)
class WeightedTarget:
    """A stable version, and a canary that gets a share of the requests."""

    stable: SingleTarget
    canary: LoadedVersion
    weight_percent: float
    share: CanaryShare

    @property
    def served(self) -> LoadedVersion:
        """The stable version."""
        return self.stable.served

    def pick(self) -> Picked:
        """Stable, or the canary where its share is due."""
        if self.share.take_turn(self.weight_percent):
            return self.canary, CANARY
        return self.stable.pick()

    def pick_again(self, reason: str) -> Picked:
        """The canary if it was the canary's turn, else stable."""
        return (self.canary, CANARY) if reason == CANARY else self.stable.pick()

    def give_back(self, reason: str) -> None:
        """Give the turn back, unless the other version might have taken the request.

        A canary that refuses what stable takes would be next again, and again.
        """
        if _check_alike(self.stable.served, self.canary):
            self.share.give_back(self.weight_percent, to_canary=reason == CANARY)


def _check_alike(one: LoadedVersion, other: LoadedVersion) -> bool:
    """Whether two versions refuse the same requests."""
    first, second = one.record, other.record
    if first.signature != second.signature:
        return False
    ours, theirs = first.config.batching, second.config.batching
    return (ours.max_batch_size, ours.allow_larger_requests) == (
        theirs.max_batch_size,
        theirs.allow_larger_requests,
    )
