"""Settings of what a service is called by at the shared state's server, the same in every service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headrace.state.redis_server import RedisServer


@dataclass(frozen=True, kw_only=True)
class RedisSettings:
    """Who a service is at the server that its setting `redis_url` names, and whom it trusts there."""

    redis_user_file: Path | None = None
    """The file with the name of the server's user; else it is that of redis_url, or the default one."""
    redis_password_file: Path | None = None
    """The file with that user's password, read at each connection: a new one needs no restart."""
    redis_tls_ca: Path | None = None
    """The certificates of the authorities that a rediss:// server's must be from, PEM; without it the
    system's are trusted."""
    redis_tls_cert: Path | None = None
    """The certificate that the server is shown, PEM; read again at each connection."""
    redis_tls_key: Path | None = None
    """Its key, PEM, without a password."""


class NamesServer(Protocol):
    """Settings that have all that a server is called with."""

    @property
    def redis_url(self) -> str:
        """The server's URL."""

    @property
    def redis_user_file(self) -> Path | None:
        """The file with the user's name."""

    @property
    def redis_password_file(self) -> Path | None:
        """The file with the password."""

    @property
    def redis_tls_ca(self) -> Path | None:
        """The file of the authorities to trust."""

    @property
    def redis_tls_cert(self) -> Path | None:
        """The file of the certificate to show."""

    @property
    def redis_tls_key(self) -> Path | None:
        """The file of its key."""


def server_of(settings: NamesServer) -> RedisServer:
    """The server that the settings name, with all that it is called with."""
    return RedisServer(
        settings.redis_url,
        settings.redis_user_file,
        settings.redis_password_file,
        settings.redis_tls_ca,
        settings.redis_tls_cert,
        settings.redis_tls_key,
    )
