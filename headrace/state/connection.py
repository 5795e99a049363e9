"""Connections to the Redis-protocol server, and what its failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast
from urllib.parse import urlsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

from headrace import errors
from headrace.state.redis_url import without_password

RETRY_AFTER_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
_AWAY = (ConnectionError, TimeoutError, BusyLoadingError, OSError, InvalidResponse)
_REFUSALS = (
    AskError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
"""Moved to another node, no primary, no right, full, a replica since a failover, slots on the move."""
_OTHER_REFUSALS = (
    *("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "UNBLOCKED", "DENIED"),
    *("DB index", "NOAUTH", "WRONGPASS"),
)
"""Those for which the client has no class: a failed disk, too few replicas, a script that does not end, a
wait that ends because a failover made the server a replica; a wrong database, a wrong password."""

_SCHEMES = ("redis", "rediss", "unix")


class Redis(redis.asyncio.Redis):
    """A client that knows how its server is called in messages."""

    address: str = ""
    """The URL as it was given, its password hidden."""

    async def send(self, *words: str | float) -> object:
        """Send a command that the package has no method for. Raises as its methods do."""
        answer: object = await self.execute_command(*words)  # type: ignore[no-untyped-call]
        return answer


def check_redis_url(url: str) -> None:
    """Pass if it can be the address of a server. Raises ValueError that says what is allowed."""
    allowed = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"
    try:
        usable = urlsplit(url).scheme in _SCHEMES
        redis.asyncio.connection.parse_url(url)
    except ValueError as error:
        raise ValueError(
            f"redis_url: {without_password(url)!r} is not {allowed} ({error})"
        ) from None
    if not usable:
        raise ValueError(f"redis_url: {without_password(url)!r} is not {allowed}")


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Redis]:
    """A client of the server at `url` (redis://, rediss:// or unix://); bytes in, bytes out.

    It connects when first used and again after every failure, so it can be opened while the server is
    away. It never retries by itself: a write that may have happened is its writer's to settle.
    """
    client = cast(
        Redis,
        Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        ),
    )
    client.address = without_password(url)
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def redis_errors(client: Redis) -> Iterator[None]:
    """The client's server that cannot be used now becomes Unavailable, which names its address.

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
            f"the shared state at {client.address} cannot be reached ({_wrong(error)}); what was "
            "asked was not acknowledged: retry",
            facts={"address": client.address},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        ) from error
    except ResponseError as error:
        _raise_lost_cancellation(before)
        if not is_refusal(error):
            raise
        raise refusal(client, error) from error
    _raise_lost_cancellation(before)


def is_refusal(error: ResponseError) -> bool:
    """Return whether a server's answer says that it cannot now, rather than that it was asked wrongly."""
    return isinstance(error, _REFUSALS) or str(error).startswith(_OTHER_REFUSALS)


def _wrong(error: Exception) -> str:
    if isinstance(error, InvalidResponse):
        return f"what answers there speaks no Redis protocol: {error}"
    return str(error) or type(error).__name__


def refusal(client: Redis, error: ResponseError) -> errors.Unavailable:
    """Return what a refused command becomes; nothing of it happened."""
    return errors.Unavailable(
        "STATE_REFUSED",
        f"the shared state at {client.address} refused what was asked ({error}): nothing was changed; "
        "look at the server's memory, disk, rights and role",
        facts={"address": client.address},
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
