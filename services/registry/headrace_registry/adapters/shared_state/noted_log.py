"""A change log whose changes are noted: no number is given out, and none acknowledged, without a note."""

from __future__ import annotations

from dataclasses import replace

from headrace.state.changes import Change
from headrace.state.connection import Redis
from headrace.state.follower import StateFollower
from headrace.state.history import Point
from headrace.state.keys import Keys
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.adapters.shared_state.history_note import HistoryNote
from headrace_registry.domain.catalog_store import IdempotencyKey, LogFacts
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.history.noted_history import given_out


class NotedChangeLog(RedisChangeLog):
    """The change log of one namespace, with the note that this registry keeps of it."""

    def __init__(self, redis: Redis, keys: Keys, note: HistoryNote) -> None:
        super().__init__(redis, keys)
        self._note = note

    async def read_facts(self, model: str, request_id: str) -> LogFacts:
        """Return what the catalog does not say, such as numbers of lost changes. Raises Unavailable."""
        facts = await super().read_facts(model, request_id)
        return replace(facts, last_number=max(facts.last_number, self._note.number_of(model)))

    async def commit(
        self, decision: Decision, creation: IdempotencyKey | None, point: Point
    ) -> Change:
        """Make a change as the log does, and note it. Raises as the log does."""
        numbers = given_out(decision)
        if numbers:
            await self._note.reserve(numbers)
        change = await super().commit(decision, creation, point)
        await self._note.reach(self.durable)
        return change


async def note_followed(note: HistoryNote, follower: StateFollower) -> None:
    """Note what is followed, also of changes that others made, for ever."""
    async for update in follower.updates():
        if update.entries:
            numbers: dict[str, int] = {}
            for entry in update.entries:
                numbers |= given_out(entry.change)
            await note.reach(update.point, numbers)
