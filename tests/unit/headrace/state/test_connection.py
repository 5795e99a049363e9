"""What becomes of failures and cancellations on the way to the Redis-protocol server."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError  # noqa: A004

from headrace import errors
from headrace.state.connection import open_redis, redis_errors

NOBODY = "unix:///nonexistent/redis.sock"


async def test_server_that_is_away_is_unavailable() -> None:
    """A socket that is not there becomes an error that says to retry."""
    async with open_redis(NOBODY) as client:
        with pytest.raises(errors.Unavailable) as caught, redis_errors(client):
            await client.ping()
    assert ("STATE_UNAVAILABLE", 1.0) == (caught.value.reason, caught.value.retry_after_seconds)
    assert f"the shared state at {NOBODY} cannot be reached" in caught.value.message


@pytest.mark.parametrize("failure", [None, ConnectionError("gone")])
async def test_cancellation_that_the_client_forgets_is_raised(failure: Exception | None) -> None:
    """Whether the call then ends well or badly, its task ends cancelled."""
    task = asyncio.ensure_future(forget_cancellation(failure))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_call_while_a_cancelled_task_tidies_up_ends_well() -> None:
    """A cancellation from before the call is not raised a second time."""
    task = asyncio.ensure_future(tidy_up())
    await asyncio.sleep(0)
    task.cancel()
    assert await task


async def forget_cancellation(failure: Exception | None) -> None:
    """A call that forgets its cancellation, as those under Python 3.11's `asyncio.wait_for` may."""
    async with open_redis(NOBODY) as client:
        with redis_errors(client):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if failure:
                    raise failure from None


async def tidy_up() -> bool:
    """Wait to be cancelled, and then call once more."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        async with open_redis(NOBODY) as client:
            with redis_errors(client):
                return True
    return False
