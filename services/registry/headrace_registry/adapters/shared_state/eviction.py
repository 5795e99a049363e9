"""Checks whether the server of the shared state may drop records to make room for others."""

from __future__ import annotations

import logging
from typing import Any

from redis.exceptions import ResponseError

from headrace.state.connection import Redis, redis_errors

logger = logging.getLogger(__name__)

SAFE = "noeviction"


async def eviction_policy(redis: Redis) -> str:
    """The policy by which the server may evict keys, which the log then says; '' where it may not.

    INFO tells it, which managed servers allow where they forbid CONFIG. Raises Unavailable.
    """
    with redis_errors(redis):
        try:
            memory: dict[str, Any] = await redis.info("memory")
        except ResponseError:
            memory = {}
    policy = str(memory.get("maxmemory_policy", ""))
    if not policy:
        logger.warning("the server does not tell its maxmemory-policy; it must be %s", SAFE)
    if policy in ("", SAFE) or not int(memory.get("maxmemory", 0)):
        return ""
    logger.error(
        "the shared state's server has maxmemory-policy %s and drops records of models when its memory is "
        "full; run `CONFIG SET maxmemory-policy %s` and set it in the server's configuration",
        policy,
        SAFE,
        extra={"address": redis.address, "maxmemory_policy": policy},
    )
    return policy
