"""Decides whether a replica should get requests, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from headrace.service import serving
from headrace.state.catalog import Catalog
from headrace.state.records import ReplicaStage
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler


class Followed(Protocol):
    """What the replica learns from what it is to serve."""

    @property
    def synced(self) -> bool:
        """Return whether that is known."""

    @property
    def catalog(self) -> Catalog:
        """Return what it is."""

    def facts(self) -> dict[str, object]:
        """Return what else is known about it."""


class ReplicaReadiness:
    """The replica's readiness: it knows what to serve, had it, and is not stopping.

    Once it had all that was wanted it stays ready: while a later version loads, names lead to the versions
    that they led to before, and all replicas load it at the same time.
    """

    def __init__(
        self,
        follower: Followed,
        reconciler: VersionReconciler,
        stopping: asyncio.Event,
        more_facts: Callable[[], dict[str, object]] = dict,
    ) -> None:
        self._follower = follower
        self._more_facts = more_facts
        self._reconciler = reconciler
        self._stopping = stopping
        self._joined = False

    @property
    def stage(self) -> ReplicaStage:
        """Return where the replica is in its life."""
        if self._stopping.is_set():
            return ReplicaStage.LEAVING
        self._joined = self._joined or self._holds_all()
        return ReplicaStage.READY if self._joined else ReplicaStage.JOINING

    def _holds_all(self) -> bool:
        """Tell whether all that is wanted is here: a moment before, the reconciler may not know of it."""
        told, known = self._reconciler.table.catalog, self._follower.catalog
        is_told = told.known and told.revision == known.revision
        return self._follower.synced and is_told and self._reconciler.settled()

    def is_ready(self) -> bool:
        """The one word."""
        return self.stage is ReplicaStage.READY

    async def stages(self) -> AsyncGenerator[ReplicaStage, None]:
        """The present stage, then every later one; it ends with LEAVING."""
        last = None
        while last is not ReplicaStage.LEAVING:
            published = self._reconciler.next_publication  # taken first, so that none is missed
            stage = self.stage
            if stage is not last:
                yield stage
                last = stage
            await _wait_for_either(published, self._stopping)

    async def wait_to_join(self, seconds: float) -> None:
        """Wait until the replica is ready, or stops, or the time is over."""
        if not seconds:
            return
        try:
            async with asyncio.timeout(seconds), aclosing(self.stages()) as stages:
                async for stage in stages:
                    if stage is not ReplicaStage.JOINING:
                        return
        except TimeoutError:
            return

    def facts(self) -> tuple[bool, dict[str, object]]:
        """The word and its reasons."""
        return self.is_ready(), {
            "stage": self.stage.value,
            "state_known": self._follower.synced,
            **self._follower.facts(),
            "applied_revision": self._reconciler.applied_revision,
            "versions_settled": self._reconciler.settled(),
            "stopping": self._stopping.is_set(),
            **self._more_facts(),
        }


class AlwaysReady(ReplicaReadiness):
    """The readiness of a replica that follows no shared state: its versions are given to it by hand."""

    def __init__(self) -> None:
        """Take nothing: there is nothing to ask."""

    @property
    def stage(self) -> ReplicaStage:
        """Always ready."""
        return ReplicaStage.READY

    async def stages(self) -> AsyncGenerator[ReplicaStage, None]:
        """The one stage."""
        yield self.stage

    def facts(self) -> tuple[bool, dict[str, object]]:
        """No reasons."""
        return True, {}


async def _wait_for_either(first: asyncio.Event, second: asyncio.Event) -> None:
    happened = asyncio.Event()

    async def pass_on(event: asyncio.Event) -> None:
        await event.wait()
        happened.set()

    async with serving.open_background() as jobs:
        jobs.run(pass_on(first))
        jobs.run(pass_on(second))
        await happened.wait()
