"""Settings of identity and permissions, the same in every service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class AccessSettings:
    """Whether callers have to be somebody, and whose word is taken for it."""

    auth: Literal["on", "off"] = "off"
    """Whether callers have to prove who they are, and be allowed what they ask for; off: everybody may do
    everything."""
    identity_file: Path | None = None
    """The TOML file that names the issuers of JWTs, the certificates and the gateways that are believed.
    It is read again when it changes. Without one API keys alone are."""

    def access_problems(self) -> Iterator[str]:
        """Every one of these settings that does not fit the others, and why."""
        if self.identity_file is not None and self.auth == "off":
            yield "--identity-file needs --auth on: without it nobody is asked who he is"
