"""Whether a replica should get requests, and why."""

from __future__ import annotations

import asyncio

from headrace.state.follower import StateFollower
from headrace_inference.domain.keeper import VersionKeeper


class Readiness:
    """Whether the replica should get requests: it knows what to serve, has it, and is not stopping."""

    def __init__(
        self, follower: StateFollower, keeper: VersionKeeper, stopping: asyncio.Event
    ) -> None:
        self._follower = follower
        self._keeper = keeper
        self._stopping = stopping

    def is_ready(self) -> bool:
        """The one word."""
        return self._follower.synced and self._keeper.settled() and not self._stopping.is_set()

    def facts(self) -> tuple[bool, dict[str, object]]:
        """The word and its reasons."""
        return self.is_ready(), {
            "state_known": self._follower.synced,
            **self._follower.facts(),
            "applied_revision": self._keeper.applied_revision,
            "versions_settled": self._keeper.settled(),
            "stopping": self._stopping.is_set(),
        }


class AlwaysReady(Readiness):
    """The readiness of a replica that follows no shared state: its versions are given to it by hand."""

    def __init__(self) -> None:
        """Take nothing: there is nothing to ask."""

    def is_ready(self) -> bool:
        """Always."""
        return True

    def facts(self) -> tuple[bool, dict[str, object]]:
        """No reasons."""
        return True, {}
