"""Keeps one child running: starts it, and starts it again when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from headrace import errors
from headrace.local.child import Addresses, Running
from headrace.local.restart_policy import GiveUp, History, Start, Wait, after_run, next_action

logger = logging.getLogger(__name__)

OpenChild = Callable[[Addresses], AbstractAsyncContextManager[Running]]
"""Runs the child once. It is given the addresses of the run before, to listen on them again."""


class ChildSupervisor:
    """One child, whatever process it is at the moment. `supervised` runs it.

    `pid` is None while the child is not ready; `addresses` stay once they are known. `changed` is called
    whenever the child came to be ready or ended.
    """

    def __init__(
        self, name: str, open_child: OpenChild, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.name = name
        self.addresses: Addresses = {}
        self.pid: int | None = None
        self._open_child = open_child
        self._changed = changed
        self._settled = asyncio.Event()
        self._failure: errors.HeadraceError | None = None

    async def wait_until_ready(self) -> None:
        """Wait for the first run to be ready. Raises what kept it from being so."""
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    async def run(self) -> None:
        """Keep the child running until cancelled, which stops it, or until its first start failed."""
        history = History()
        while True:
            match next_action(history, time.monotonic()):
                case Start():
                    history = await self._run_once(history)
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case GiveUp():
                    self._settled.set()
                    return

    async def _run_once(self, history: History) -> History:
        ready_at = None
        try:
            async with self._open_child(self.addresses) as running:
                ready_at = time.monotonic()
                self._ready(running)
                status = await running.process.wait()
                facts = {"child": self.name, "status": status}
                logger.warning("a child ended and is started again", extra=facts)
        except errors.HeadraceError as error:
            self._failed(error)
        self.pid = None
        self._changed()
        return after_run(history, ready_at=ready_at, ended_at=time.monotonic())

    def _ready(self, running: Running) -> None:
        self.addresses, self.pid = running.addresses, running.process.pid
        logger.info("a child is ready", extra={"child": self.name, "pid": self.pid})
        self._changed()
        self._settled.set()

    def _failed(self, error: errors.HeadraceError) -> None:
        self._failure = error
        if self.addresses:
            facts = {"child": self.name, "reason": error.reason, "error": error.message}
            logger.warning("a child could not be started again yet", extra=facts)


@asynccontextmanager
async def supervised(children: Sequence[ChildSupervisor]) -> AsyncIterator[None]:
    """Keep these children running while inside; all are ready when this yields.

    They start side by side, and on leaving they stop side by side. Raises, in a group, what kept one
    of them from its first start.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(child.run(), name=child.name) for child in children]
        try:
            await _wait_until_ready(children)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_until_ready(children: Sequence[ChildSupervisor]) -> None:
    async with asyncio.TaskGroup() as waiting:
        for child in children:
            waiting.create_task(child.wait_until_ready())
