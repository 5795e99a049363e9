"""When a replica is called at the ports that all of its machine share: from joining until it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from headrace.errors import HeadraceError
from headrace.service.serving import open_background
from headrace.state.records import ReplicaStage
from headrace_inference.adapters.siblings import Siblings
from headrace_inference.app.readiness import ReplicaReadiness

Open = Callable[[AsyncExitStack], Awaitable[None]]
"""Opens the ports; the stack closes them, draining."""


class SharedReadiness(ReplicaReadiness):
    """The readiness of shared ports: one that leaves others behind has its callers go to them at once.

    Callers of a shared port know no other: to say that it is not ready would have them wait for it.
    """

    def __init__(self, own: ReplicaReadiness) -> None:
        self._own = own
        self.alone = asyncio.Event()
        """Set when it leaves, and nobody is left to be called."""

    @property
    def stage(self) -> ReplicaStage:
        """Return where the replica is in its life."""
        return self._own.stage

    def is_ready(self) -> bool:
        """Return whether the port answers: also while its callers move to another replica."""
        return not self.alone.is_set()

    async def stages(self) -> AsyncGenerator[ReplicaStage, None]:
        """Ready; and leaving, where nobody takes over."""
        yield ReplicaStage.READY
        await self.alone.wait()
        yield ReplicaStage.LEAVING

    def facts(self) -> tuple[bool, dict[str, object]]:
        """The word and its reasons."""
        _, facts = self._own.facts()
        return self.is_ready(), facts

    async def leaves(self) -> bool:
        """Wait until the replica leaves. False: it never does by itself."""
        async with aclosing(self._own.stages()) as stages:
            async for stage in stages:
                if stage is ReplicaStage.LEAVING:
                    return True
        return False


class SharedPorts:
    """Opens ports and closes them, in one task: when the replica leaves others behind, or at the end."""

    def __init__(self, open_ports: Open, readiness: SharedReadiness, siblings: Siblings) -> None:
        self._open = open_ports
        self._readiness = readiness
        self._siblings = siblings
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended, self._closed = asyncio.Event(), asyncio.Event()

    async def wait_until_open(self) -> None:
        """Raises what kept them from being opened."""
        await self._opened

    async def close(self) -> None:
        """Close them, unless that is done, and wait until callers had their answers."""
        self._ended.set()
        await self._closed.wait()

    async def run(self) -> None:
        """Keep them open as long as they should be."""
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                self._opened.set_result(None)
                await self._wait_until_over()
        except HeadraceError as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
        finally:
            self._closed.set()

    async def _wait_until_over(self) -> None:
        async with open_background() as jobs:
            jobs.run(self._leave())
            await self._ended.wait()

    async def _leave(self) -> None:
        if not await self._readiness.leaves():
            return
        self._siblings.leave()
        if self._siblings.others():
            self._ended.set()
        else:
            self._readiness.alone.set()


@asynccontextmanager
async def open_shared_ports(
    open_ports: Open, readiness: SharedReadiness, siblings: Siblings
) -> AsyncIterator[None]:
    """The ports are open while inside, unless the replica leaves and others stay. Raises HeadraceError."""
    ports = SharedPorts(open_ports, readiness, siblings)
    async with open_background() as jobs:
        jobs.run(ports.run())
        await ports.wait_until_open()
        try:
            yield
        finally:
            await ports.close()
