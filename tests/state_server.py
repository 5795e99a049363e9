"""A Redis-protocol server that a test kills, pauses, cuts and takes back to an old backup."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from headrace.local import embedded_redis

_APPEND_ONLY = "appendonlydir"


class StateServer:
    """One server process over one folder, at one socket, as often as it is started."""

    def __init__(self, place: embedded_redis.Location) -> None:
        self._place = place
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self.url = place.url

    async def start(self) -> None:
        """Start it; it answers then."""
        opened = embedded_redis.open_server_process(embedded_redis.find_server(), self._place)
        self._process = await self._stack.enter_async_context(opened)

    async def kill(self) -> None:
        """Kill -9."""
        assert self._process
        self._process.kill()
        await self._process.wait()
        await self._stack.aclose()

    async def stop(self) -> None:
        """End it in order, if it runs."""
        await self._stack.aclose()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: to stop and to go on."""
        assert self._process
        self._process.send_signal(number)

    def cut_tail(self, size: int) -> int:
        """Take so many bytes off the end of what it has written, as if the disk had lied; how many went."""
        files = self._append_only().glob("*.incr.aof")
        newest = max(files, key=lambda file: int(file.name.split(".")[-3]))
        length = newest.stat().st_size
        with newest.open("r+b") as file:
            file.truncate(max(0, length - size))
        return min(size, length)

    def back_up(self, folder: Path) -> None:
        """Copy its files as documented, while it runs."""
        shutil.copytree(self._append_only(), folder)

    def restore(self, folder: Path) -> None:
        """Put a backup in the place of its files, while it does not run."""
        self.empty()
        shutil.copytree(folder, self._append_only())

    def empty(self) -> None:
        """Remove its files, while it does not run."""
        shutil.rmtree(self._append_only())

    def _append_only(self) -> Path:
        return self._place.folder / _APPEND_ONLY


@asynccontextmanager
async def open_state_server(data: Path) -> AsyncIterator[StateServer]:
    """A server that runs while inside, unless the test has ended it."""
    with embedded_redis.open_location(data) as place:
        server = StateServer(place)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
