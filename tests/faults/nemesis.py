"""What does harm: kills, pauses, lost ends of the append-only file, old backups, full disks."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.clock import Clock
from tests.faults.history import History, Loss
from tests.state_server import StateServer
from tests.suite import RunningSuite

_PAUSE_SECONDS = (0.5, 3.0)
_CUT_BYTES = (1, 4000)
_DOWN_SECONDS = 0.2

Fault = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Nemesis:
    """Faults of one suite and its state's server."""

    suite: RunningSuite
    server: StateServer
    history: History
    random: random.Random
    backups: Path
    clock: Clock | None = None
    _backed_up: float | None = None

    async def kill_process(self) -> None:
        """Kill a service; the suite starts it again."""
        name = self._some_child()
        killed = self.suite.kill(name)
        self.history.faults[f"kills of {name}"] += 1
        await self.suite.wait_until_back(name, killed)

    async def kill_state(self) -> None:
        """Kill the state's server and start it again."""
        await self.server.kill()
        self.history.faults["kills of the state"] += 1
        await asyncio.sleep(_DOWN_SECONDS)
        await self.server.start()

    async def pause_process(self) -> None:
        """Stop a service for a while, as a full machine does."""
        name = self._some_child()
        pid = self.suite.pids()[name]
        self.history.faults[f"pauses of {name}"] += 1
        await self._paused(lambda number: os.kill(pid, number))

    async def pause_state(self) -> None:
        """Stop the state's server for a while."""
        self.history.faults["pauses of the state"] += 1
        await self._paused(self.server.send)

    async def kill_paused_writer(self) -> None:
        """Kill the registry while the state's server holds what it sent, and then let that go on."""
        self.server.send(signal.SIGSTOP)
        await asyncio.sleep(_DOWN_SECONDS)
        killed = self.suite.kill("registry")
        self.history.faults["kills of a registry that waits"] += 1
        await asyncio.sleep(self.random.uniform(*_PAUSE_SECONDS))
        self.server.send(signal.SIGCONT)
        await self.suite.wait_until_back("registry", killed)

    async def cut_tail(self) -> None:
        """Lose the newest of what the state's server had acknowledged as being on disk."""
        await self.server.kill()
        self.server.cut_tail(self.random.randint(*_CUT_BYTES))
        self.history.losses.append(Loss(0.0, time.monotonic()))
        self.history.faults["cut ends of the append-only file"] += 1
        await self.server.start()

    async def back_up(self) -> None:
        """Copy the state as it is, while it is written."""
        shutil.rmtree(self.backups, ignore_errors=True)
        self._backed_up = time.monotonic()
        await asyncio.to_thread(self.server.back_up, self.backups)
        self.history.faults["backups"] += 1

    async def restore(self) -> None:
        """Take the state back to the last backup."""
        if self._backed_up is None:
            await self.back_up()
            return
        await self.server.kill()
        self.server.restore(self.backups)
        assert self._backed_up is not None
        self.history.losses.append(Loss(self._backed_up, time.monotonic()))
        self.history.faults["restored backups"] += 1
        await self.server.start()

    async def set_clock(self) -> None:
        """Set the wall clock of everything ahead or back, within a day: request ids are kept for one."""
        assert self.clock
        self.clock.set(self.random.choice([0, 60, 3600, 20 * 3600]))
        self.history.faults["steps of the clock"] += 1

    async def _paused(self, send: Callable[[signal.Signals], None]) -> None:
        send(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.random.uniform(*_PAUSE_SECONDS))
        finally:
            send(signal.SIGCONT)

    def _some_child(self) -> str:
        return self.random.choice(sorted(self.suite.pids()))


async def harm(faults: list[Fault], seconds: float, randomness: random.Random) -> None:
    """Do one of the faults after the other, with rests in between, for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(randomness.uniform(0.2, 1.5))
        await randomness.choice(faults)()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own at `folder`. Raises OSError where this account may not mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        raise OSError("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
