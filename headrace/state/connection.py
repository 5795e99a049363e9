"""Connections to the Redis-protocol server, and what its failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

from headrace import errors

RETRY_AFTER_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
_AWAY = (ConnectionError, TimeoutError, BusyLoadingError, OSError)
_REFUSALS = (
    AskError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
"""Moved to another node, no primary, no right, full, a replica since a failover, slots on the move."""
_OTHER_REFUSALS = ("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "UNBLOCKED", "DENIED")
"""Those for which the client has no class: a failed disk, too few replicas, a script that does not end, a
wait that ends because a failover made the server a replica."""

Redis = redis.asyncio.Redis


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Redis]:
    """A client of the server at `url` (redis://, rediss:// or unix://); bytes in, bytes out.

    It connects when first used and again after every failure, so it can be opened while the server is
    away. It never retries by itself: a write that may have happened is its writer's to settle.
    """
    client = Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def redis_errors() -> Iterator[None]:
    """A server that cannot be used now becomes Unavailable.

    STATE_UNAVAILABLE where it is away, loading its data or silent; STATE_REFUSED where it answers that it
    cannot. Any other answer that is an error flies: it says that what was asked was wrong.
    """
    before = _cancellations()
    try:
        yield
    except _AWAY as error:
        _raise_lost_cancellation(before)
        raise errors.Unavailable(
            "STATE_UNAVAILABLE",
            f"the shared state cannot be reached ({error}); what was asked was not acknowledged: retry",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        ) from error
    except ResponseError as error:
        _raise_lost_cancellation(before)
        if not is_refusal(error):
            raise
        raise refusal(error) from error
    _raise_lost_cancellation(before)


def is_refusal(error: ResponseError) -> bool:
    """Whether a server's answer says that it cannot now, rather than that it was asked wrongly."""
    return isinstance(error, _REFUSALS) or str(error).startswith(_OTHER_REFUSALS)


def refusal(error: ResponseError) -> errors.Unavailable:
    """What a refused command becomes; nothing of it happened."""
    return errors.Unavailable(
        "STATE_REFUSED",
        f"the shared state's server refused what was asked ({error}): nothing was changed; look at the "
        "server's memory, disk, rights and role",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _raise_lost_cancellation(before: int) -> None:
    """Raise the cancellation that came meanwhile and was forgotten.

    The client sends under `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes as
    its inner call ends. A loop that outlives the server's absence would then outlive its own end, too.
    """
    if _cancellations() > before:
        raise asyncio.CancelledError
