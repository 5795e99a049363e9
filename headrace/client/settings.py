"""Where a client finds the suite, who it says it is, and how long it waits."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace

from headrace import addresses, settings


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Settings of a client: from arguments, then `HEADRACE_<FIELD>`, then these defaults."""

    registry: str = "127.0.0.1:8100"
    """Where the registry serves gRPC, host:port."""

    inference: str = "127.0.0.1:8001"
    """Where a replica, or what balances over replicas, serves gRPC, host:port."""

    monitor: str = "127.0.0.1:8200"
    """Where the monitor serves gRPC, host:port."""

    actor: str = ""
    """Who makes changes, as the registry records it; by default user@host."""

    timeout_seconds: float = 30.0
    """How long a call may take, its retries included, unless the call says otherwise."""

    push_timeout_seconds: float = 900.0
    """The same for a push, which sends gigabytes and waits until they are checked."""

    attempts: int = 5
    """How often a call that may be repeated is tried while the service is UNAVAILABLE."""

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ValueError with a line for each."""
        wrong = [
            f"{name}: {address!r} is not an address: {problem}"
            for name, address in self.addresses().items()
            if (problem := addresses.problem(address))
        ]
        numbers = {"timeout_seconds": self.timeout_seconds, "attempts": self.attempts}
        numbers["push_timeout_seconds"] = self.push_timeout_seconds
        wrong += [f"{name}: {n} is not over 0" for name, n in numbers.items() if not n > 0]
        if wrong:
            raise ValueError("\n".join(wrong))

    def addresses(self) -> dict[str, str]:
        """The address of each service by its name."""
        return {"registry": self.registry, "inference": self.inference, "monitor": self.monitor}


def read_client_settings(
    environ: Mapping[str, str] | None = None, **given: str | float | None
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
