"""The day on which each API key was last used, as replicas and registries note it in the shared state."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, cast

from headrace import errors
from headrace.state.connection import Redis, redis_errors
from headrace.state.keys import Keys

NOTE_SECONDS = 5.0


async def note_key_uses(redis: Redis, keys: Keys, days: Mapping[str, int]) -> None:
    """Note the days (since the epoch) on which keys were used, by their ids. Raises Unavailable.

    Those who note are a day apart at most, for a moment at midnight: the last word counts.
    """
    if not days:
        return
    with redis_errors(redis):
        await cast("Any", redis.hset(keys.key_uses, mapping=cast("Any", dict(days))))


async def read_key_uses(redis: Redis, keys: Keys) -> dict[str, int]:
    """The days on which keys were last used, by their ids. Raises Unavailable."""
    with redis_errors(redis):
        found: Any = await redis.hgetall(keys.key_uses)
    return {key.decode(): int(day) for key, day in found.items() if day.isdigit()}


async def known_key_uses(redis: Redis, keys: Keys) -> dict[str, int]:
    """The same; none while the server is away: lists of keys go on without it."""
    with suppress(errors.Unavailable):
        return await read_key_uses(redis, keys)
    return {}


async def forget_key_uses(redis: Redis, keys: Keys, known: Collection[str]) -> None:
    """Forget the uses of keys that are none of these. Raises Unavailable."""
    gone = [key for key in await read_key_uses(redis, keys) if key not in known]
    if gone:
        with redis_errors(redis):
            await cast("Any", redis.hdel(keys.key_uses, *gone))


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
