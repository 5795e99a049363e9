"""The day on which each API key was last used, as replicas and registries note it in the shared state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from headrace.state.connection import Redis, redis_errors
from headrace.state.keys import Keys

KEPT_SECONDS = 400 * 86_400
"""After so long without any use by anybody, all of it is forgotten."""


async def note_key_uses(redis: Redis, keys: Keys, days: Mapping[str, int]) -> None:
    """Note the days (since the epoch) on which keys were used, by their ids. Raises Unavailable.

    Those who note are a day apart at most, for a moment at midnight: the last word counts.
    """
    if not days:
        return
    pipeline = redis.pipeline(transaction=False)
    pipeline.hset(keys.key_uses, mapping=cast("Any", dict(days)))
    pipeline.expire(keys.key_uses, KEPT_SECONDS)
    with redis_errors(redis):
        await pipeline.execute()


async def read_key_uses(redis: Redis, keys: Keys) -> dict[str, int]:
    """The days on which keys were last used, by their ids. Raises Unavailable."""
    with redis_errors(redis):
        found: Any = await redis.hgetall(keys.key_uses)
    return {key.decode(): int(day) for key, day in found.items() if day.isdigit()}


class UsesToNote:
    """Tells which uses of keys were not noted yet."""

    def __init__(self) -> None:
        self._noted: dict[str, int] = {}

    def new(self, used: Mapping[str, int]) -> dict[str, int]:
        """Return the uses that are news."""
        return {key: day for key, day in tuple(used.items()) if self._noted.get(key) != day}

    def noted(self, days: Mapping[str, int]) -> None:
        """Take note that these are kept now."""
        self._noted |= days
