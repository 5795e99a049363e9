"""One child process that checks an artifact: it gets its task, is watched, and is gone on leaving."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from headrace.service.child_tasks.process import (
    BoundsWatch,
    ChildEndedError,
    ChildOverMemoryError,
    ChildProcess,
)
from headrace.service.parent_death import tether
from headrace.state.codec import decode, encode
from headrace_registry.adapters.checks.task import CheckReport, CheckTask, Phase

_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """A check's end: its report, or the child's exit status and last words, or why we ended it."""

    phase: Phase
    report: CheckReport | None = None
    status: int = 0
    said: bytes = b""
    over_memory: bool = False
    over_time: bool = False


class CheckProcess:
    """A child that runs, or has ended."""

    def __init__(self, child: ChildProcess, task: CheckTask, threads: Executor) -> None:
        self._child = child
        self._task = task
        self._phase = Phase.STARTING
        self._ending = asyncio.get_running_loop().run_in_executor(threads, self._execute)

    async def finish(self, seconds: float) -> Outcome:
        """Return how it ended; after so many seconds it is killed."""
        outcome = await self.wait(seconds)
        if outcome is None:
            await self.end()
            outcome = replace(self._ending.result(), over_time=True)
        return outcome

    async def wait(self, seconds: float) -> Outcome | None:
        """Return how it ended, or None while it still runs after so many seconds."""
        await asyncio.wait([self._ending], timeout=seconds)
        return self._ending.result() if self._ending.done() else None

    def give_way(self) -> None:
        """Let everything else go first."""
        self._child.lower_priority(_NICENESS)

    async def end(self) -> None:
        """Kill it, if it still runs, and wait for its end."""
        self._child.kill()
        await asyncio.wait([self._ending])

    def _execute(self) -> Outcome:
        """In a thread. Time is the caller's to watch: it may grow while the check runs."""
        watch = BoundsWatch(self._child.pid, math.inf, self._task.memory_bytes)
        try:
            message = self._child.execute(encode(self._task), watch, self._follow)
        except ChildOverMemoryError:
            return Outcome(self._phase, over_memory=True)
        except ChildEndedError as ended:
            return Outcome(self._phase, status=ended.status, said=ended.said)
        finally:
            self._child.end()
        if message.error is not None:
            return Outcome(self._phase, CheckReport(refusal=message.error))
        return Outcome(self._phase, decode(CheckReport, bytes(message.result)))

    def _follow(self, progress: str) -> None:
        self._phase = Phase[progress]


@asynccontextmanager
async def open_check(task: CheckTask, threads: Executor) -> AsyncIterator[CheckProcess]:
    """The child with its task, gone on leaving; one of `threads` is busy while it runs.

    On Linux the child ends with this process, however that ends. Nothing of ours is in its environment.
    """
    command = [*tether(), sys.executable, "-P", "-m", "headrace_registry.check_child"]
    environ = {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "ORT_DISABLE_TELEMETRY": "1",  # a checked model is nobody else's business
    }
    check = CheckProcess(ChildProcess(command, environ, keeps_errors=True), task, threads)
    try:
        yield check
    finally:
        await check.end()
