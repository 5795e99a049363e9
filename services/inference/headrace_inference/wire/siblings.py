"""Declares what a wire needs of the other replicas that share its port."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from headrace.errors import HeadraceError


class Siblings(Protocol):
    """The other replicas that share ports, and what is kept for those that join."""

    def turn(self, what: str) -> AbstractAsyncContextManager[None]:
        """Be the only one that sets such things on all replicas while inside."""

    async def ask(self, method: str, request: bytes, seconds: float) -> list[bytes | HeadraceError]:
        """The answers of all others, or what they refuse it with."""

    def kept(self, key: str) -> bytes | None:
        """Return the request that is kept under a key."""

    def keep(self, key: str, method: str, request: bytes) -> None:
        """Keep a call for replicas that join later."""

    def forget(self, prefix: str) -> None:
        """Keep nothing under keys that begin so any more."""
