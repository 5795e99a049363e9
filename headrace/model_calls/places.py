"""Where a model is called, and what a caller has to bring."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses, host:port, and whether calls are over TLS and bring a key."""

    http: str
    grpc: str
    is_tls: bool = False
    needs_key: bool = False

    @property
    def url(self) -> str:
        """The beginning of every URL of it."""
        return f"{'https' if self.is_tls else 'http'}://{self.http}"

    @property
    def grpc_address(self) -> str:
        """The address as the Python client takes it."""
        return f"{'grpcs://' if self.is_tls else ''}{self.grpc}"


@dataclass(frozen=True, slots=True)
class CopiedCall:
    """A call in one language."""

    title: str
    language: str
    code: str


KEY = "$HEADRACE_KEY"
"""The variable of the environment that shells take the key from."""
