"""The shared state as the registry reads and writes it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from headrace import errors
from headrace.state.connection import Redis, open_redis
from headrace.state.follower import StateFollower
from headrace.state.key_uses import forget_key_uses
from headrace.state.keys import Keys
from headrace.state.record_collections import API_KEYS
from headrace.state.redis_settings import server_of
from headrace_registry.adapters.shared_state.epochs import RedisEpochs
from headrace_registry.adapters.shared_state.history_note import HistoryNote
from headrace_registry.adapters.shared_state.noted_log import NotedChangeLog
from headrace_registry.adapters.shared_state.stored_log import RedisStoredLog
from headrace_registry.domain.history.history_guard import HistoryGuard
from headrace_registry.settings import Settings


@dataclass(frozen=True, slots=True)
class SharedState:
    """The catalog that is followed, and the log that changes it."""

    redis: Redis
    keys: Keys
    note: HistoryNote
    follower: StateFollower
    log: NotedChangeLog

    def stored_log(self) -> RedisStoredLog:
        """Return what reads the log back."""
        return RedisStoredLog(self.redis, self.keys)

    async def forget_keys_that_are_gone(self) -> None:
        """Forget when keys were last used that the catalog has no more; another time, if it cannot be."""
        with suppress(errors.Unavailable):
            known = {key.id for key in self.follower.catalog.of(API_KEYS).values()}
            await forget_key_uses(self.redis, self.keys, known)


@asynccontextmanager
async def open_shared_state(settings: Settings) -> AsyncIterator[SharedState]:
    """The state, connected while inside; nothing is read yet."""
    async with open_redis(server_of(settings)) as redis:
        keys = Keys(settings.namespace)
        note = HistoryNote(settings.data, settings.namespace)
        guard = HistoryGuard(note, RedisEpochs(redis, keys, time.time))
        follower = StateFollower(redis, keys, guard.examine)
        yield SharedState(redis, keys, note, follower, NotedChangeLog(redis, keys, note))
