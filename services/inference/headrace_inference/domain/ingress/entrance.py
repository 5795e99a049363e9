"""Lets callers of the event loop in, once it is known who they are."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from headrace.errors import HeadraceError
from headrace.security.credentials import Credentials, PeerCertificate
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.ingress.call_limits import CallLimiter
from headrace_inference.domain.ingress.callers import Callers, NotVerified
from headrace_inference.domain.routing.request_texts import Headers


class Entrance:
    """The door of the event loop that it was made on."""

    def __init__(self, callers: Callers, clock: Clock) -> None:
        self._callers = callers
        self._now_ns = clock.monotonic_ns
        self._loop = asyncio.get_running_loop()

    async def enter(
        self, metadata: Headers, model_name: str, certificate: PeerCertificate | None
    ) -> CallLimiter | None:
        """Let a request in; the limits of its caller, if it has any. Raises HeadraceError."""
        while True:
            try:
                return self._callers.enter(metadata, model_name, self._now_ns(), certificate)
            except NotVerified as waiting:
                credentials = waiting.credentials
            await self._verified(credentials)

    async def _verified(self, credentials: Credentials) -> None:
        verified: asyncio.Future[None] = self._loop.create_future()

        def tell(error: HeadraceError | None) -> None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(settle, error)

        def settle(error: HeadraceError | None) -> None:
            if verified.done():  # the caller has gone
                return
            if error is None:
                verified.set_result(None)
            else:
                verified.set_exception(error)

        self._callers.verify(credentials, tell)
        await verified
