"""Tells the shared state, every second and at every change, that this replica is there and what it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from headrace.errors import Unavailable
from headrace.state import presence
from headrace.state.connection import Redis
from headrace.state.keys import Keys
from headrace.state.records import ReplicaRecord

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
_MIN_GAP_SECONDS = 0.05
"""Changes that come in a burst are told together."""


async def keep_present(
    redis: Redis, keys: Keys, changed: asyncio.Event, describe: Callable[[], ReplicaRecord]
) -> None:
    """Announce for ever; on being cancelled, withdraw. An unreachable server is tried again."""
    replica_id = describe().id
    try:
        while True:
            changed.clear()
            await _announce(redis, keys, describe())
            await asyncio.sleep(_MIN_GAP_SECONDS)
            try:
                async with asyncio.timeout(_INTERVAL_SECONDS):
                    await changed.wait()
            except TimeoutError:
                continue
    finally:
        await _withdraw(redis, keys, replica_id)


async def _announce(redis: Redis, keys: Keys, record: ReplicaRecord) -> None:
    try:
        await presence.announce(redis, keys, record)
    except Unavailable as error:
        logger.debug("presence not announced: %s", error)


async def _withdraw(redis: Redis, keys: Keys, replica_id: str) -> None:
    try:
        await presence.withdraw(redis, keys, replica_id)
    except Unavailable:
        logger.debug("presence not withdrawn; it ends by itself")
