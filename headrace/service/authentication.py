"""Finds out who calls: at once where that is known, in a thread where a signature has to be verified."""

from __future__ import annotations

import asyncio

from headrace.security.access import Access
from headrace.security.credentials import Credentials
from headrace.security.identities import Identity
from headrace.security.verifications import MAX_WAITING, too_many


class Authentication:
    """Identifies the callers of one event loop; a flood of unknown tokens holds up nobody else."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._one_at_a_time = asyncio.Lock()
        self._verifying: dict[Credentials, asyncio.Task[Identity]] = {}
        """By what is being verified: calls that bring the same wait for the same."""

    def at_once(self, credentials: Credentials) -> Identity | None:
        """Return who calls; None where that takes a while. Raises Unauthenticated."""
        if self.access.takes_long(credentials.authorization):
            return None
        return self.access.identify(credentials)

    async def identify(self, credentials: Credentials) -> Identity:
        """Return who calls. Raises Unauthenticated, ResourceExhausted (TOO_MANY_NEW_TOKENS)."""
        identity = self.at_once(credentials)
        return await self._in_thread(credentials) if identity is None else identity

    async def _in_thread(self, credentials: Credentials) -> Identity:
        verifying = self._verifying.get(credentials)
        if verifying is None:
            verifying = self._begin(credentials)
        return await asyncio.shield(verifying)

    def _begin(self, credentials: Credentials) -> asyncio.Task[Identity]:
        if len(self._verifying) >= MAX_WAITING:
            raise too_many(MAX_WAITING)
        task = asyncio.create_task(self._verify(credentials))
        self._verifying[credentials] = task
        task.add_done_callback(_look_at_failure)
        return task

    async def _verify(self, credentials: Credentials) -> Identity:
        try:
            async with self._one_at_a_time:
                return await asyncio.to_thread(self.access.identify, credentials)
        finally:
            del self._verifying[credentials]


def _look_at_failure(task: asyncio.Task[Identity]) -> None:
    """Nobody may be left to hear of it."""
    if not task.cancelled():
        task.exception()
