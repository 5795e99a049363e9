"""Keeps an Envoy at the gateway's address: starts it again when it ends, and has others take over."""

from __future__ import annotations

import asyncio
import logging
import time

from headrace import errors
from headrace.gateway.admin import EnvoyAdmin
from headrace.gateway.envoy_process import EnvoyProcess, EnvoyStarter, end
from headrace.gateway.settings import Settings

logger = logging.getLogger(__name__)

_PAUSES = (0.0, 0.5, 2.0, 5.0)
"""Before each start after an Envoy that ended; the last one from then on."""
_GOOD_RUN_SECONDS = 30.0
_POLL_SECONDS = 0.05
_LEAST_DRAIN_SECONDS = 1.0
"""So long callers are told, each with its next answer, that their connections end."""


class Edge:
    """The Envoy that serves at the moment. `start` begins, `stop` ends it."""

    def __init__(self, starter: EnvoyStarter, settings: Settings) -> None:
        self.settings = settings
        self.starts = 0
        self.handovers = 0
        self.refusals = 0
        """How often other settings were refused."""
        self._starter = starter
        self._current: EnvoyProcess | None = None
        self._retired: list[EnvoyProcess] = []
        self._changing = asyncio.Lock()

    @property
    def admin(self) -> EnvoyAdmin | None:
        """The admin of the Envoy that serves; None while there is none."""
        return self._current.admin if self._current else None

    @property
    def pid(self) -> int | None:
        """The process that serves."""
        return self._current.process.pid if self._current else None

    async def start(self) -> None:
        """Start the first Envoy; it serves when this returns. Raises FailedPrecondition."""
        await self._starter.check(self.settings, 0)
        self._current = await self._starter.start(self.settings, 0)
        self.starts += 1

    async def keep_running(self) -> None:
        """Start an Envoy anew, for ever, whenever the one that serves has ended."""
        failures = 0
        while True:
            began = time.monotonic()
            envoy = self._current
            if envoy is not None:
                status = await envoy.process.wait()
                if envoy is not self._current:
                    continue  # another has taken over
                logger.error("Envoy ended and is started again", extra={"status": status})
                self._current = None
            failures = 0 if time.monotonic() - began > _GOOD_RUN_SECONDS else failures + 1
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES)) - 1] if failures else 0.0)
            await self._start_again()

    async def _start_again(self) -> None:
        async with self._changing:
            try:
                await self.start()
            except (errors.FailedPrecondition, OSError) as error:
                logger.error("Envoy could not be started: %s", error)  # noqa: TRY400

    async def take(self, settings: Settings) -> None:
        """Serve by other settings, without a dropped call. Raises FailedPrecondition: the old go on."""
        async with self._changing:
            old = self._current
            epoch = old.epoch + 1 if old else 0
            try:
                await self._starter.check(settings, epoch)
                new = await self._starter.start(settings, epoch)
            except errors.FailedPrecondition:
                self.refusals += 1
                raise
            self.settings, self._current = settings, new
            self.handovers += 1
            if old is not None:  # it ends by itself, when it has told its callers
                self._retired = [*self._retired, old]

    async def drain(self, seconds: float) -> None:
        """Have callers go elsewhere, and wait until what is in flight is answered, or the time is over."""
        admin = self.admin
        if admin is None or not seconds:
            return
        began = time.monotonic()
        try:
            await admin.drain()
            while (gone := time.monotonic() - began) < seconds:
                if gone > _LEAST_DRAIN_SECONDS and not await admin.requests_in_flight():
                    return
                await asyncio.sleep(_POLL_SECONDS)
        except errors.Unavailable as error:
            logger.warning("Envoy could not be drained: %s", error)

    async def stop(self) -> None:
        """End every Envoy that still runs, the newest first: it would wait for the one before it."""
        running = [*([self._current] if self._current else []), *reversed(self._retired)]
        for envoy in running:
            await end(envoy)
        self._starter.tidy_up()
        self._current = None
