"""The day on which each API key was last used, as replicas and registries note it in the shared state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from headrace import errors
from headrace.state.connection import Redis, redis_errors
from headrace.state.keys import Keys

KEPT_SECONDS = 400 * 86_400
"""After so long without any use by anybody, all of it is forgotten."""
NOTE_SECONDS = 5.0


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


async def note_for_ever(
    redis: Redis, keys: Keys, used: Mapping[str, int], seconds: float = NOTE_SECONDS
) -> None:
    """Note, for ever, what is new in `used` (`Access.used_keys`); what the server refuses now waits."""
    noted: dict[str, int] = {}
    while True:
        days = {key: day for key, day in tuple(used.items()) if noted.get(key) != day}
        with suppress(errors.Unavailable):
            await note_key_uses(redis, keys, days)
            noted |= days
        await asyncio.sleep(seconds)
