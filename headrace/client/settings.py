"""The client's settings: addresses, actor, timeouts, retries."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from headrace import addresses, settings

MAX_REASON = 500
"""The registry takes no longer reason of a change."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Settings of a client: from arguments, then `HEADRACE_<FIELD>`, then these defaults."""

    registry: str = "127.0.0.1:8100"
    """Where the registry serves gRPC, host:port; of several, commas between, the first that answers. Over
    TLS it is grpcs://host:port."""

    inference: str = "127.0.0.1:8001"
    """Where replicas, or what balances over them, serve gRPC: host:port, or several with commas between,
    over which calls are spread."""

    monitor: str = "127.0.0.1:8200"
    """Where the monitor serves gRPC, host:port; of several, the first that answers."""

    actor: str = ""
    """Who makes changes, as the registry records it; by default user@host."""

    reason: str = ""
    """Why this client makes changes, in at most 500 characters: the registry records it with each."""

    timeout_seconds: float = 30.0
    """How long a call may take, its retries included, unless the call says otherwise."""

    push_timeout_seconds: float = 900.0
    """The same for a push, which sends gigabytes and waits until they are checked."""

    generation_timeout_seconds: float = 600.0
    """The same for text that is generated."""

    first_contact_seconds: float = 0.0
    """How long a call goes on trying a service that never answered this client; 0: until its deadline, as
    with one that did. The command line says 1."""

    try_seconds: float = 1.0
    """Of several addresses: how long a call waits for its answer until the one it went to is asked whether
    it lives; if that says nothing for as long, the call goes to another. 0: it waits until its deadline."""

    retry_share: float = 0.2
    """How many calls may be repeated while a service is UNAVAILABLE, as a share of all, beside 10 a second
    that always may; 0: none is."""

    tls_ca: Path | None = None
    """The certificates (PEM) of the authorities to trust; with them every address is called over TLS, but
    Unix sockets and those that say grpc://. Without them grpcs:// trusts the system's."""

    tls_cert: Path | None = None
    """The certificate that the client shows, PEM; read again when it changes."""

    tls_key: Path | None = None
    """Its key, PEM, without a password."""

    tls_name: str = ""
    """The name that the services' certificates have, where it is not the host of their addresses."""

    token_file: Path | None = None
    """The file of the API key or token that calls bring; read again when it changes. It is never sent in
    plaintext to another machine."""

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ValueError with a line for each."""
        wrong = [
            f"{name}: {address!r} is not an address: {problem}"
            for name, listed in self.addresses().items()
            for address in listed
            if (problem := addresses.problem(address))
        ]
        wrong += [
            f"{name}: {getattr(self, name)} is not over 0"
            for name in ("timeout_seconds", "push_timeout_seconds", "generation_timeout_seconds")
            if not getattr(self, name) > 0
        ]
        wrong += [
            f"{name}: {getattr(self, name)} is not 0 or more"
            for name in ("first_contact_seconds", "try_seconds", "retry_share")
            if not getattr(self, name) >= 0
        ]
        if len(self.reason) > MAX_REASON or not self.reason.isprintable():
            wrong.append(f"reason: at most {MAX_REASON} characters, in one line")
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = ("cert", "key") if self.tls_key is None else ("key", "cert")
            wrong.append(f"tls_{given} needs tls_{missing}, too")
        if wrong:
            raise ValueError("\n".join(wrong))

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """The addresses of each service by its name."""
        return {
            name: addresses.several(getattr(self, name))
            for name in ("registry", "inference", "monitor")
        }

    def is_over_tls(self, address: str) -> bool:
        """Return whether a service is called over TLS at an address."""
        named = self.tls_ca is not None or self.tls_cert is not None
        return addresses.is_over_tls(address, otherwise=named)


def read_client_settings(
    environ: Mapping[str, str] | None = None, **given: str | float | Path | None
) -> ClientSettings:
    """The settings of a client: `given` (None: not given), then the environment, then defaults.

    Raises headrace.settings.SettingsError, a ValueError with a line for everything that is wrong.
    """
    flags = [
        f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None
    ]
    found = settings.read(
        ClientSettings, "client", flags, os.environ if environ is None else environ
    )
    return found if found.actor else replace(found, actor=_user_at_host())


def _user_at_host() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as containers have
        user = "unknown"
    return f"{user}@{platform.node() or 'localhost'}"
