"""Follows the registry's catalog for as long as the monitor runs: list, then watch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace

from headrace import errors
from headrace.client import methods, resource_messages
from headrace.registry.v1 import registry_service_pb2
from headrace.resource_names import model_of
from headrace_monitor.adapters.registry.calls import RegistryCalls
from headrace_monitor.adapters.registry.listing import (
    Point,
    list_catalog,
    list_model,
    list_replicas,
)
from headrace_monitor.domain.catalog.catalog import Freshness, Snapshot
from headrace_monitor.domain.catalog.changes import MAX_MODELS, changed

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Replicas speak once a second, and nobody watches them: they are listed again and again."""

IDLE_POLL_SECONDS = 10.0
ASKED_SECONDS = 60.0
"""Nobody who looked for so long: replicas are listed more rarely."""

PUSH = "version.push"
PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0


class CatalogFeed:
    """The catalog, kept as it was told last while the registry is away. `run` follows.

    Everything runs on the event loop; a snapshot never changes, so any thread may read it.
    """

    def __init__(self, calls: RegistryCalls, now: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._now = now
        self._snapshot = Snapshot()
        self._heard_at: float | None = None
        self._asked_at = now()
        self._is_listed = False
        self._watch_problem = "it was not asked yet"
        self._poll_problem = "it was not asked yet"
        self._woken = asyncio.Event()
        self.on_change: Callable[[str], None] = lambda _: None
        """Told the name of each model that a change touches; '' for all of them."""

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    def freshness(self) -> Freshness:
        """How far that can be relied on."""
        problem = self._watch_problem or self._poll_problem
        if self._heard_at is None:
            return Freshness(self._is_listed, is_connected=False, age_seconds=0.0, problem=problem)
        age = 0.0 if not problem else max(0.0, self._now() - self._heard_at)
        return Freshness(self._is_listed, not problem, age, problem)

    def asked(self) -> None:
        """Somebody looks: the replicas are listed often for a while."""
        was_idle = self._is_idle()
        self._asked_at = self._now()
        if was_idle:
            self._woken.set()

    def _is_idle(self) -> bool:
        return self._now() - self._asked_at > ASKED_SECONDS

    async def run(self) -> None:
        """Follow for ever; errors of the registry are outlived."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._poll())

    async def _follow(self) -> None:
        failures = 0
        point = Point()
        while True:
            try:
                if not point.epoch:
                    point = await self._list()
                async with aclosing(self._watched(point)) as points:
                    async for reached in points:
                        point, failures = reached, 0
                problem = "the registry ended the watch"
            except errors.HeadraceError as error:
                problem = error.message
                if isinstance(error, errors.OutOfRange):  # another history, or no longer kept
                    point = Point()
            self._lost(problem)
            failures += 1
            await asyncio.sleep(_pause(failures))

    async def _list(self) -> Point:
        snapshot, point = await list_catalog(self._calls)
        self._snapshot = replace(snapshot, replicas=self._snapshot.replicas)
        self._is_listed = True
        self.on_change("")
        logger.info(
            "the catalog was listed",
            extra={"models": len(snapshot.models), "revision": point.revision},
        )
        return point

    async def _watched(self, point: Point) -> AsyncGenerator[Point, None]:
        """Yield the points that a watch reaches, its changes put into the catalog. Raises its errors."""
        request = registry_service_pb2.WatchChangesRequest(
            start_revision=point.revision,
            start_epoch=point.epoch,
            start_hash=point.hash,
            progress=True,
        )
        async with aclosing(self._calls.watch(methods.WATCH_CHANGES, request)) as messages:
            async for message in messages:
                self._heard()
                if message.kind:
                    await self._take(message)
                else:
                    self._snapshot = replace(self._snapshot, revision=message.revision)
                yield Point(message.revision, message.epoch or point.epoch, message.hash)

    async def _take(self, message: registry_service_pb2.WatchChangesResponse) -> None:
        change = resource_messages.change_from_proto(message)
        self._snapshot = changed(self._snapshot, change)
        if change.kind == PUSH:
            await self._read_again(model_of(change.resource))
        for resource in (change.resource, *(each.resource for each in change.further)):
            self.on_change(model_of(resource))

    async def _read_again(self, name: str) -> None:
        """A push may make the model, its route and an alias: read all of it."""
        if name not in self._snapshot.models and len(self._snapshot.models) >= MAX_MODELS:
            return
        entry = await list_model(self._calls, name)
        if entry is not None:
            models = {**self._snapshot.models, name: entry}
            self._snapshot = replace(self._snapshot, models=models)

    async def _poll(self) -> None:
        failures = 0
        while True:
            try:
                replicas = await list_replicas(self._calls)
                self._snapshot = replace(self._snapshot, replicas=replicas)
                self._poll_problem, failures = "", 0
                self._heard_at = self._now()
            except errors.HeadraceError as error:
                self._poll_problem = error.message
                failures += 1
            self._woken.clear()
            pause = IDLE_POLL_SECONDS if self._is_idle() else POLL_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(_pause(failures) if failures else pause):
                    await self._woken.wait()

    def _heard(self) -> None:
        if self._watch_problem:
            logger.info("following the catalog", extra={"revision": self._snapshot.revision})
        self._watch_problem = ""
        self._heard_at = self._now()

    def _lost(self, problem: str) -> None:
        if self._watch_problem != problem:
            logger.warning(
                "models and routes are shown as they were at revision %d: the registry does not tell of "
                "changes (%s)",
                self._snapshot.revision,
                problem,
            )
        self._watch_problem = problem


def _pause(failures: int) -> float:
    return float(min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** min(failures, 5)))
