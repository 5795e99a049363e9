"""The whole suite as real processes, for end-to-end tests: `headrace up` on free ports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from headrace.local import embedded_redis
from headrace.service.parent_death import tether

UP = (sys.executable, "-m", "headrace.cli", "up")
READY_SECONDS = 100.0
STOP_SECONDS = 30.0
BACK_SECONDS = 60.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class RunningSuite:
    """A suite that runs: its process, its data folder, and what its ready line said."""

    process: asyncio.subprocess.Process
    data: Path
    ready: dict[str, Any]

    @property
    def registry(self) -> str:
        """The registry's gRPC address."""
        return str(self.ready["registry"])

    @property
    def monitor(self) -> str:
        """The monitor's gRPC address."""
        return str(self.ready["monitor"])

    @property
    def inference(self) -> str:
        """Where replicas are called over gRPC: the address of the only one, or the one that all share."""
        return str(self.ready["shared"]["grpc"])

    @property
    def rest(self) -> str:
        """The same over REST."""
        return str(self.ready["shared"]["http"])

    @property
    def redis_url(self) -> str:
        """The address of the shared state."""
        return str(self.ready["redis_url"])

    def pids(self) -> dict[str, int]:
        """The process ids of the children that live now, by name."""
        status: dict[str, Any] = json.loads((self.data / "up.json").read_text())
        return dict(status["pids"])

    def kill(self, name: str) -> int:
        """Kill -9 the child and return the process id that it had."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    async def wait_until_back(self, name: str, killed: int) -> int:
        """Wait until the child is ready again as another process; its id."""
        async with asyncio.timeout(BACK_SECONDS):
            while (pid := self.pids().get(name, killed)) == killed:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECONDS)
        return pid

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the end, and return the exit status."""
        self.process.send_signal(number)
        async with asyncio.timeout(STOP_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def running_suite(
    tmp_path: Path,
    replicas: int = 1,
    extra: Sequence[str] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[RunningSuite]:
    """Run `headrace up` on free ports while inside; no child of it is left afterwards.

    `extra` are further flags; `environ` is the HEADRACE_* part of the environment.
    """
    data = tmp_path / "headrace"
    process = await start_up(data, f"--replicas={replicas}", *extra, environ=environ)
    try:
        suite = RunningSuite(process, data, await read_ready_line(process))
        children = children_of(suite)
        yield suite
        children |= children_of(suite)
        if process.returncode is None:
            assert 0 == await suite.stop()
        for pid in children:
            await wait_for_end(pid)
        tidy_up(data)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def children_of(suite: RunningSuite) -> set[int]:
    """The process ids of the children, or none where the suite is down already."""
    try:
        return set(suite.pids().values())
    except FileNotFoundError:
        return set()


def tidy_up(data: Path) -> None:
    """Remove the socket that a killed supervisor left, as the next one would."""
    with embedded_redis.open_location(data):
        pass


async def start_up(
    data: Path,
    *flags: str,
    stderr: int | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> asyncio.subprocess.Process:
    """Start `headrace up --json` on free ports over `data`; the caller ends it, by being killed too."""
    return await asyncio.create_subprocess_exec(
        *tether(),
        *UP,
        "--port=0",
        "--json",
        f"--data={data}",
        *flags,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=without_settings(os.environ) | dict(environ),
    )


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what the developer has set for a suite of their own."""
    return {name: value for name, value in environ.items() if not name.startswith("HEADRACE_")}


async def read_ready_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The one line that `headrace up --json` prints when all is ready."""
    assert process.stdout
    async with asyncio.timeout(READY_SECONDS):
        line = await process.stdout.readline()
    assert line, "headrace up ended before it was ready; its standard error says why"
    ready: dict[str, Any] = json.loads(line)
    return ready


async def wait_for_end(pid: int, seconds: float = STOP_SECONDS) -> None:
    """Wait until a process that need not be our child has ended (Linux only)."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
