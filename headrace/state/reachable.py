"""Waiting for the shared state's server before it is needed."""

from __future__ import annotations

import asyncio

from redis.exceptions import NoPermissionError

from headrace import errors
from headrace.state.connection import open_redis, redis_errors
from headrace.state.outage import FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS
from headrace.state.redis_server import RedisServer


async def wait_until_reachable(where: str | RedisServer) -> None:
    """Wait until the server takes this password and database and answers. It says nothing meanwhile."""
    pause = FIRST_BACKOFF_SECONDS
    async with open_redis(where) as client:
        while True:
            try:
                with redis_errors(client):
                    await client.ping()
            except errors.Unavailable as error:
                if isinstance(error.__cause__, NoPermissionError):
                    return  # it answers this user, who has no right to this command alone
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_BACKOFF_SECONDS)
            else:
                return
