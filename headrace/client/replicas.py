"""The replicas and the changes, as a client watches them, and waiting until a version is served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from headrace import errors
from headrace.client import methods, resource_messages
from headrace.client.catalog import CatalogCalls
from headrace.client.resources import Change
from headrace.inference import grpc_service_pb2
from headrace.registry.v1 import registry_service_pb2
from headrace.resource_names import model_resource
from headrace.state.records import LoadState, ReplicaRecord, ReplicaStage

ACCESS_DENIED = "STATE_ACCESS_DENIED"
ASK_AFTER_SECONDS = 2.0
"""How long no replica may be listed until one is asked itself, again and again."""
ASK_SECONDS = 2.0
NOBODY = "no replica is there"
POLL_SECONDS = 0.2
"""Replicas speak about once a second and at each change of state; asking costs the registry one read."""


@dataclass(frozen=True, slots=True)
class Availability:
    """The state of a version: served by all replicas, given up by some, or still awaited."""

    ready: bool = False
    given_up: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    denied: str = ""
    """What the state's server refuses one of them, which keeps it from ever knowing the version."""


def availability(
    replicas: Iterable[ReplicaRecord], model: str, number: int, revision: int
) -> Availability:
    """Return where a version stands on all replicas but those that leave.

    What a replica says counts once it has applied `revision`.
    """
    awaited, given_up, denied, count = [], [], "", 0
    for replica in replicas:
        if replica.stage is ReplicaStage.LEAVING:
            continue
        count += 1
        state, reason = _state(replica, model, number, revision)
        if state is LoadState.UNAVAILABLE:
            given_up.append(f"{replica.id}: {reason}")
        elif state is not LoadState.READY:
            awaited.append(f"{replica.id}: {replica.problem or reason}")
            if replica.problem.startswith(ACCESS_DENIED):
                denied = f"{replica.id}: {replica.problem}"
    if not count:
        awaited.append(NOBODY)
    ready = not awaited and not given_up
    return Availability(ready, tuple(given_up), tuple(awaited), denied)


def _state(
    replica: ReplicaRecord, model: str, number: int, revision: int
) -> tuple[LoadState | None, str]:
    if replica.applied_revision < revision:
        return None, f"has not seen revision {revision} yet"
    for version in replica.versions:
        if (version.model, version.number) == (model, number):
            return version.state, version.reason or version.state.value
    return None, "does not hold it"


class ReplicaCalls(CatalogCalls):
    """Replicas, readiness, changes."""

    async def replicas(
        self, *, model: str = "", timeout_seconds: float | None = None
    ) -> list[ReplicaRecord]:
        """The replicas that are there now, by id, with what each has loaded, of one model or of all."""
        name = model_resource(model) if model else ""
        request = registry_service_pb2.ListReplicasRequest(model=name)
        found = await self._pages(
            methods.LIST_REPLICAS, request, lambda page: page.replicas, timeout_seconds
        )
        return [resource_messages.replica_from_proto(replica) for replica in found]

    async def wait_until_ready(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> None:
        """Wait until every replica, and at least one, serves a version (a number or an alias).

        Raises FailedPrecondition (VERSION_UNAVAILABLE) with the reasons of replicas that could not
        load it, Unavailable (STATE_ACCESS_DENIED) where one is not let into the shared state, and
        DeadlineExceeded (VERSION_NOT_READY) that says what each replica was waiting for.
        """
        total = self._calls.allowed(timeout_seconds)
        deadline = time.monotonic() + total
        number = await self.resolve(model, version, timeout_seconds=total)
        revision = await self.revision(timeout_seconds=total)
        ask_at = time.monotonic() + ASK_AFTER_SECONDS
        while True:
            left = max(0.1, deadline - time.monotonic())
            replicas = await self.replicas(model=model, timeout_seconds=left)
            found = availability(replicas, model, number, revision)
            if found.ready:
                return
            if found.given_up:
                raise _unavailable(model, number, found)
            if found.denied:
                raise errors.Unavailable(ACCESS_DENIED, found.denied)
            if found.awaited == (NOBODY,) and time.monotonic() > ask_at:
                await self._ask_who_is_not_listed(model)
                ask_at = time.monotonic() + ASK_AFTER_SECONDS
            if time.monotonic() + POLL_SECONDS > deadline:
                raise _not_ready(model, number, found, total)
            await asyncio.sleep(POLL_SECONDS)

    async def _ask_who_is_not_listed(self, model: str) -> None:
        """Ask a replica that nobody hears of whether it may read the state.

        Raises Unavailable (STATE_ACCESS_DENIED) where that is why; all else may pass.
        """
        request = grpc_service_pb2.ModelMetadataRequest(name=model)
        denied: errors.Unavailable | None = None
        with suppress(errors.HeadraceError):
            try:
                await self._calls.unary(
                    "inference",
                    methods.MODEL_METADATA,
                    request,
                    repeatable=False,
                    timeout_seconds=ASK_SECONDS,
                )
            except errors.Unavailable as error:
                denied = error
        if denied is not None and denied.reason == ACCESS_DENIED:
            raise denied

    async def watch(self, start_revision: int = 0, model: str = "") -> AsyncGenerator[Change, None]:
        """Every change after a revision, in order, of one model or of all, until the reader stops.

        A watch that breaks goes on where it was, also where it left changes of other models out. Raises
        OutOfRange where changes after the revision are no longer kept, or are those of another history
        (HISTORY_DIFFERS), and Unavailable where the registry stays away.
        """
        seen = registry_service_pb2.WatchChangesRequest(
            start_revision=start_revision,
            model=model_resource(model) if model else "",
            progress=True,
        )
        watched = self._calls.watch("registry", methods.WATCH_CHANGES, seen)
        async with aclosing(watched) as messages:
            async for message in messages:
                seen.start_revision = message.revision
                seen.start_epoch, seen.start_hash = message.epoch, message.hash
                if message.kind or message.WhichOneof("after"):  # else it says how far the watch is
                    yield resource_messages.change_from_proto(message)


def _unavailable(model: str, number: int, found: Availability) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        "VERSION_UNAVAILABLE",
        f"version {number} of {model} cannot be served by {'; '.join(found.given_up)}",
        facts={"model": model, "version": str(number)},
    )


def _not_ready(
    model: str, number: int, found: Availability, seconds: float
) -> errors.DeadlineExceeded:
    return errors.DeadlineExceeded(
        "VERSION_NOT_READY",
        f"version {number} of {model} was not served within {seconds:g} s: {'; '.join(found.awaited)}; "
        "replicas hold what the route or an alias names, and the newest versions",
        facts={"model": model, "version": str(number)},
    )
