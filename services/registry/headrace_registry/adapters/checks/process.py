"""One child process that checks an artifact: it gets its task, is watched, and is gone on leaving."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from headrace.machine.memory import own_memory_bytes
from headrace.service.parent_death import tether
from headrace.state.codec import encode
from headrace_registry.adapters.checks.task import CheckTask

_MAX_REPORT_BYTES = 16 << 20
"""A signature of a thousand tensors has a hundredth of this; a hijacked child may print for ever."""
_LOOK_SECONDS = 0.05
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """A child's end: its exit status, the last of what it said, and why we ended it, if we did."""

    status: int
    output: bytes
    over_memory: bool = False
    over_time: bool = False


class CheckProcess:
    """A child that runs, or has ended."""

    def __init__(
        self, process: subprocess.Popen[bytes], task: CheckTask, threads: Executor
    ) -> None:
        self._process = process
        self._memory_bytes = task.memory_bytes
        self._over_memory = False
        loop = asyncio.get_running_loop()
        self._ending = loop.run_in_executor(threads, _finish, process, encode(task))

    async def finish(self, seconds: float) -> Outcome:
        """Return how it ended; after so many seconds it is killed."""
        outcome = await self.wait(seconds)
        if outcome is None:
            await self.end()
            outcome = Outcome(*self._ending.result(), over_time=True)
        return outcome

    async def wait(self, seconds: float) -> Outcome | None:
        """Return how it ended, or None if it runs after so many seconds; over its memory it is killed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0 and not self._ending.done():
            await asyncio.wait([self._ending], timeout=min(left, _LOOK_SECONDS))
            if own_memory_bytes(self._process.pid) > self._memory_bytes:
                self._over_memory = True
                self._process.kill()
        if not self._ending.done():
            return None
        return Outcome(*self._ending.result(), over_memory=self._over_memory)

    def give_way(self) -> None:
        """Let everything else go first."""
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PGRP, self._process.pid, _NICENESS)

    async def end(self) -> None:
        """Kill it, if it still runs, and wait for its end."""
        self._process.kill()
        await asyncio.wait([self._ending])


@asynccontextmanager
async def open_check(task: CheckTask, threads: Executor) -> AsyncIterator[CheckProcess]:
    """The child with its task, gone on leaving; one of `threads` is busy while it runs.

    Not the event loop's own way to start a process: uvloop forks, which runs handlers of every library in
    the child of a process full of threads, and now and then one of them brings the child down.
    On Linux the child ends with this process, however that ends. Nothing of ours is in its environment.
    """
    process = subprocess.Popen(  # noqa: ASYNC220 it takes a millisecond
        [
            *tether(),
            sys.executable,
            "-P",  # no module is looked for in the working folder
            "-m",
            "headrace_registry.check_child",
        ],
        stdin=subprocess.PIPE,  # a task with many warm-up samples is too long for an argument
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "ORT_DISABLE_TELEMETRY": "1",  # a checked model is nobody else's business
        },
        start_new_session=True,  # the terminal's Ctrl-C is the registry's to handle
    )
    check = CheckProcess(process, task, threads)
    try:
        yield check
    finally:
        await check.end()


def _finish(process: subprocess.Popen[bytes], task: bytes) -> tuple[int, bytes]:
    """Give the child its task, read what it says, keeping the last of it, and wait for its end."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError), process.stdin as stdin:  # its end says more than a broken pipe
        stdin.write(task)
    kept = b""
    with process.stdout as stream:
        while chunk := stream.read1(1 << 16):  # type: ignore[attr-defined]  # a buffered reader
            kept = (kept + chunk)[-_MAX_REPORT_BYTES:]
    return process.wait(), kept
