"""The catalog store: reads the state as this process knows it, and changes it one decision at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.changes import Change, Origin
from headrace.state.history import Point
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.decisions.limits import DEFAULT_LIMITS, CatalogLimits
from headrace_registry.domain.history.freshness import Followed, Freshness

REVISION_MOVED = "REVISION_MOVED"
_TRIES = 5
"""This process decides one change at a time, so only other registries can be faster, and not for long."""
_VISIBLE_SECONDS = 5.0
"""How long an acknowledged change may take to be read back here before it is answered all the same."""

Decide = Callable[[DecisionContext], Decision]
Clock = Callable[[], float]
OriginOfCaller = Callable[[], Origin]
"""What is known of whom the task at hand acts for. Raises InvalidArgument (REASON_INVALID)."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The identity of a repeated create: the caller's id for it, and what it asks for."""

    request_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class IdempotentResult:
    """A create by its request id: what it asked for, and the change that it made."""

    fingerprint: str
    change: Change


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The facts that the log knows and the catalog does not."""

    revision: int = 0
    """How far the state has come: nothing older may be decided on, for it may have been acknowledged."""
    last_number: int = 0
    made: IdempotentResult | None = None


class CatalogView(Followed, Protocol):
    """The shared state as far as it was followed, and read."""

    @property
    def catalog(self) -> Catalog:
        """The newest catalog known."""

    @property
    def synced(self) -> bool:
        """Return whether a catalog was ever read."""


class ChangeLog(Protocol):
    """Makes changes: each whole or not at all, and durable when `commit` returns."""

    async def newest(self) -> Point:
        """The point that the state is at now. Raises Unavailable."""

    async def read_facts(self, model: str, request_id: str) -> LogFacts:
        """Return what the catalog does not say of a model's name and a request. Raises Unavailable."""

    async def commit(
        self, decision: Decision, creation: IdempotencyKey | None, point: Point
    ) -> Change:
        """Make a change of a decision at the point that it was made on.

        Raises Aborted (REVISION_MOVED) if the state has left that, Unavailable.
        """

    async def make_durable(self, point: Point) -> None:
        """Wait until all changes up to a point are durable. Raises Unavailable (STATE_NOT_DURABLE)."""


class CatalogStore:
    """Reads answer from the state as followed; writes decide, commit, and wait to read their own change."""

    def __init__(
        self,
        state: CatalogView,
        log: ChangeLog,
        clock: Clock,
        limits: CatalogLimits = DEFAULT_LIMITS,
        origin: OriginOfCaller = Origin,
    ) -> None:
        self._state = state
        self._log = log
        self._clock = clock
        self._limits = limits
        self._origin = origin
        self._deciding = asyncio.Lock()
        self._freshness = Freshness(state, log.newest)

    @property
    def point(self) -> Point:
        """Return where the newest catalog known is in the history of the state."""
        return self._state.point

    def read(self) -> Catalog:
        """The newest catalog known. Raises Unavailable before there is one, with what keeps it away."""
        if not self._state.synced:
            problem = self._state.problem
            if problem is not None:
                raise errors.Unavailable(
                    problem.reason,
                    problem.message,
                    facts=problem.facts,
                    retry_after_seconds=problem.retry_after_seconds,
                )
            raise errors.Unavailable(
                "STATE_UNAVAILABLE",
                "the shared state was not read yet; retry",
                retry_after_seconds=1.0,
            )
        return self._state.catalog

    async def latest(self) -> Catalog:
        """The catalog with all that was acknowledged before this call, by other registries too.

        While the server is away it is the newest one known. Raises as `read` does.
        """
        await self._freshness.wait()
        return self.read()

    async def change(
        self, model: str, decide: Decide, actor: str, creation: IdempotencyKey | None = None
    ) -> Change:
        """Decide on the newest state and make it so: the change, or the one that this creation made.

        Raises what `decide` raises, Unavailable, and Aborted where other registries won every race.
        """
        async with self._deciding:
            for _ in range(_TRIES):
                try:
                    return await self._change_once(model, decide, actor, creation)
                except errors.Aborted as error:
                    if error.reason != REVISION_MOVED:
                        raise
        raise errors.Aborted(REVISION_MOVED, f"other changes were faster {_TRIES} times: retry")

    async def find_repeated(self, model: str, creation: IdempotencyKey | None) -> Change | None:
        """The change that this creation made before, if any. Raises InvalidArgument, Unavailable.

        It always asks the log, so that what cannot be written is refused before it is sent.
        """
        _, made = await self._facts(model, creation)
        return made

    def decision_context(self, actor: str, facts: LogFacts | None = None) -> DecisionContext:
        """Return what a decision made now is made from."""
        last_number = facts.last_number if facts else 0
        return DecisionContext(
            self.read(), actor, self._clock(), last_number, self._limits, self._origin()
        )

    async def _change_once(
        self, model: str, decide: Decide, actor: str, creation: IdempotencyKey | None
    ) -> Change:
        facts, made = await self._facts(model, creation)
        if made is not None:
            return made
        point, context = self._state.point, self.decision_context(actor, facts)
        try:
            decision = decide(context)
        except errors.HeadraceError:
            # What was refused was refused for what is there: it must not be lost after this answer.
            await self._log.make_durable(point)
            raise
        try:
            change = await self._log.commit(decision, creation, point)
        except errors.Aborted:
            await self._leave(point)
            raise
        await self._see(change.revision)
        return change

    async def _facts(
        self, model: str, creation: IdempotencyKey | None
    ) -> tuple[LogFacts, Change | None]:
        """Return what the log knows, and the change that this creation made before, durable by now."""
        facts = await self._log.read_facts(model, creation.request_id if creation else "")
        await self._see(facts.revision)
        made = _repeated(facts.made, creation)
        if made is not None:
            await self._log.make_durable(replace(self._state.point, revision=facts.revision))
        return facts, made

    async def _leave(self, point: Point) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_VISIBLE_SECONDS):
                await self._state.wait_until_left(point)
                return
        raise errors.Unavailable(
            "STATE_UNAVAILABLE",
            "the shared state is another than the one that is known here, which could not be read in time; "
            "nothing was changed: retry",
            retry_after_seconds=1.0,
        )

    async def _see(self, revision: int) -> None:
        with suppress(TimeoutError):  # the change is made and durable: a late answer serves nobody
            async with asyncio.timeout(_VISIBLE_SECONDS):
                await self._state.wait_for_revision(revision)


def _repeated(made: IdempotentResult | None, creation: IdempotencyKey | None) -> Change | None:
    if made is None or creation is None:
        return None
    if made.fingerprint != creation.fingerprint:
        raise errors.InvalidArgument(
            "REQUEST_ID_REUSED",
            f"request_id {creation.request_id} was used for something else: take a new one",
            facts={"request_id": creation.request_id},
        )
    return made.change
