"""Connections to the Redis-protocol server, and what its failures mean."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AskError,
    AuthenticationError,
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
from headrace.state.outage import ACCESS_DENIED
from headrace.state.redis_server import RedisServer
from headrace.state.redis_url import split_credentials, without_password

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
_AWAY = (ConnectionError, TimeoutError, BusyLoadingError, OSError, InvalidResponse)
_REFUSALS = (
    AskError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
"""Moved to another node, no primary, full, a replica since a failover, slots on the move."""
_OTHER_REFUSALS = (
    *("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "UNBLOCKED", "DENIED"),
    "DB index",
)
"""Those for which the client has no class: a failed disk, too few replicas, a script that does not end, a
wait that ends because a failover made the server a replica; a wrong database."""
_DENIALS = {
    "ACL failure in script": "NOPERM",  # Valkey
    "The user executing the script can't": "NOPERM",  # Redis
    "NOPERM": "NOPERM",
    "HELLO must be called with the client already authenticated": "NOAUTH",
    "NOAUTH": "NOAUTH",
    "Authentication required": "NOAUTH",
    "WRONGPASS": "WRONGPASS",
}
"""What servers say where the client has no class, or one for several cases, and its code."""

_SCHEMES = ("redis", "rediss", "unix")


class Redis(redis.asyncio.Redis):
    """A client that knows how its server is called in messages."""

    address: str = ""
    """The URL as it was given, its password hidden."""

    async def send(self, *words: str | float) -> object:
        """Send a command that the package has no method for. Raises as its methods do."""
        answer: object = await self.execute_command(*words)  # type: ignore[no-untyped-call]
        return answer


class _Credentials(CredentialProvider):
    """User and password as they are when a connection is made: a file may have another one by then."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """The arguments of AUTH."""
        user, password = self._server.credentials()
        return (user, password) if user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same; a file of one line is read at once."""
        return self.get_credentials()


class _TlsConnection(redis.asyncio.SSLConnection):
    """A connection that reads certificates anew each time it is made."""

    async def connect(self) -> None:
        """Connect, unless it is."""
        self.ssl_context.context = None
        await super().connect()  # type: ignore[no-untyped-call]  # the package has no types


def check_redis(server: RedisServer) -> None:
    """Pass if it can be called. Raises ValueError that says what is allowed."""
    wrong = list(server.problems())
    try:
        check_redis_url(server.url)
    except ValueError as error:
        wrong.insert(0, str(error))
    if wrong:
        raise ValueError("\n".join(wrong))


def check_redis_url(url: str) -> None:
    """Pass if it can be the address of a server. Raises ValueError that says what is allowed."""
    allowed = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"
    try:
        usable = urlsplit(url).scheme in _SCHEMES
        redis.asyncio.connection.parse_url(url)
    except ValueError as error:
        # What cannot be read may quote a password that is not percent-encoded.
        why = "is the password percent-encoded?" if "@" in url else str(error)
        raise ValueError(f"redis_url: {without_password(url)!r} is not {allowed} ({why})") from None
    if not usable:
        raise ValueError(f"redis_url: {without_password(url)!r} is not {allowed}")


@asynccontextmanager
async def open_redis(where: str | RedisServer) -> AsyncIterator[Redis]:
    """A client of the server at a URL (redis://, rediss:// or unix://); bytes in, bytes out.

    It connects when first used and again after every failure, so it can be opened while the server is
    away. It never retries by itself: a write that may have happened is its writer's to settle.
    """
    server = where if isinstance(where, RedisServer) else RedisServer(where)
    client = cast(Redis, Redis.from_url(**_options(server)))
    if server.url.startswith("rediss://"):
        client.connection_pool.connection_class = _TlsConnection
    client.address = server.address
    if server.sends_in_plaintext:
        logger.warning(
            "the password of %s goes there in plaintext: use rediss:// where others share the network",
            server.address,
        )
    try:
        yield client
    finally:
        await client.aclose()


def _options(server: RedisServer) -> dict[str, Any]:
    url, user, password = split_credentials(server.url)
    options: dict[str, Any] = {
        "url": url,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    if user or password or server.user_file or server.password_file:
        options["credential_provider"] = _Credentials(server)
    tls = {"ca_certs": server.tls_ca, "certfile": server.tls_cert, "keyfile": server.tls_key}
    return options | {f"ssl_{name}": str(path) for name, path in tls.items() if path}


@contextmanager
def redis_errors(client: Redis) -> Iterator[None]:
    """The client's server that cannot be used now becomes Unavailable, which names its address.

    STATE_UNAVAILABLE where it is away, loading its data or silent; STATE_ACCESS_DENIED where this process
    may not; STATE_REFUSED where it answers that it cannot. Any other answer that is an error flies: it says
    that what was asked was wrong.
    """
    before = _cancellations()
    try:
        yield
    except AuthenticationError as error:
        _raise_lost_cancellation(before)
        raise refusal(client, error) from error
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
    known = isinstance(error, _REFUSALS) or str(error).startswith(_OTHER_REFUSALS)
    return known or bool(denial(error))


def denial(error: Exception) -> str:
    """Why a server lets this process not do what it asks: NOPERM, NOAUTH or WRONGPASS; '' where it may."""
    found = next((code for words, code in _DENIALS.items() if words in str(error)), "")
    if found:
        return found
    if isinstance(error, NoPermissionError):
        return "NOPERM"
    return "WRONGPASS" if isinstance(error, AuthenticationError) else ""


def _wrong(error: Exception) -> str:
    if isinstance(error, InvalidResponse):
        return f"what answers there speaks no Redis protocol: {error}"
    return str(error) or type(error).__name__


def refusal(client: Redis, error: Exception) -> errors.Unavailable:
    """Return what a refused command becomes; nothing of it happened."""
    if code := denial(error):
        return errors.Unavailable(
            ACCESS_DENIED,
            f"the shared state at {client.address} does not let this process do what it must "
            f"({code}: {error}): look at its user, its password file and its rights, which "
            "`headrace redis-acl` prints",
            facts={"address": client.address, "refusal": code},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    return errors.Unavailable(
        "STATE_REFUSED",
        f"the shared state at {client.address} refused what was asked ({error}): nothing was changed; "
        "look at the server's memory, disk and role",
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
