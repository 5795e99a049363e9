"""The preparing processes of a replica: started when needed, watched, killed, and ended when idle."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from headrace.errors import FailedPrecondition, HeadraceError, Unavailable
from headrace.machine.memory import own_memory_bytes
from headrace.service.child_tasks.process import ChildEndedError, ChildProcess
from headrace.state.codec import decode, encode
from headrace_inference.adapters.preparation.task import PrepareReport, PrepareTask
from headrace_inference.adapters.runtime.load_limit import LoadBounds, LoadWatch

MODULE = "headrace_inference.adapters.preparation.sandbox_worker"
IDLE_SECONDS = 10.0
"""A process that nobody needed for this long is ended: it holds some 60 MB."""

_SECRETS = "HEADRACE_"
"""Of the environment what begins so is the replica's own: addresses with passwords, for one."""

RETRY_AFTER_SECONDS = 5.0


SLOW_SECONDS = 5.0
"""A process that takes longer for one answer has the last call on the cores: others load meanwhile."""

_LAST_CALL = 19
"""The lowest priority: an eighth of the share of those that have not taken long."""


class _LoadWatch:
    """Ends the wait for a load over its bounds; a slow process gets the last call on the cores."""

    def __init__(
        self, process: _Process, version: str, bounds: LoadBounds, slow_seconds: float
    ) -> None:
        used = functools.partial(own_memory_bytes, process.child.pid)
        self._watch = LoadWatch(version, bounds, used)
        self._process = process
        self._slow_at = time.monotonic() + slow_seconds

    def pause_seconds(self) -> float:
        """For how long nobody need look."""
        left = self._watch.pause()
        return (
            left if self._process.is_slow else min(left, max(0.0, self._slow_at - time.monotonic()))
        )

    def check(self) -> None:
        """Raises FailedPrecondition (LOAD_TIMEOUT, LOAD_TOO_LARGE), Unavailable (LOAD_ABANDONED)."""
        if passed := self._watch.passed():
            raise passed
        if time.monotonic() > self._slow_at:
            self._process.give_way()


class _Process:
    """One preparing process. Whoever starts it ends it."""

    def __init__(self, slow_seconds: float) -> None:
        self._slow_seconds = slow_seconds
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)
        }
        self.child = ChildProcess([sys.executable, "-P", "-m", MODULE], environment)
        self.timer: threading.Timer | None = None
        """What ends it when it was idle for long."""
        self.is_ready = False
        """Whether it has said that it takes tasks."""
        self.is_slow = False
        """Whether it has the last call on the cores, for good: nobody may raise a priority again."""

    def wait_until_ready(self, version: str, bounds: LoadBounds) -> None:
        """Wait for its first line: what it takes to start is not the version's. Raises as `ask` does."""
        if not self.is_ready:
            self.child.wait_until_ready(self._watch(version, replace(bounds, memory_bytes=0)))
            self.is_ready = True

    def ask(self, task: PrepareTask, bounds: LoadBounds) -> PrepareReport:
        """Give it a task and wait for the answer. Raises ChildEndedError, HeadraceError over a bound."""
        message = self.child.execute(encode(task), self._watch(task.record.key, bounds))
        if message.error is not None:
            return PrepareReport(failure=message.error)
        return decode(PrepareReport, bytes(message.result))

    def give_way(self) -> None:
        """Let those have the cores first that have not taken long."""
        if not self.is_slow:
            self.is_slow = True
            self.child.lower_priority(_LAST_CALL)

    def _watch(self, version: str, bounds: LoadBounds) -> _LoadWatch:
        return _LoadWatch(self, version, bounds, self._slow_seconds)


class PreparingProcesses:
    """As many processes as there are tasks at a time. `prepare` may be called from any thread."""

    def __init__(self, idle_seconds: float, slow_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._slow_seconds = slow_seconds
        self._mutex = threading.Lock()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._closed = False

    def prepare(
        self, task: PrepareTask, bounds: LoadBounds, *, alone: bool = False
    ) -> PrepareReport:
        """Have a task done, by a process that does no other if `alone`. Blocks.

        Raises FailedPrecondition (LOAD_TIMEOUT, LOAD_TOO_LARGE, LOAD_CRASHED), Unavailable (LOAD_KILLED,
        LOAD_NOT_STARTED, LOAD_ABANDONED).
        """
        try:
            process = self._take()
        except OSError as error:
            raise _not_started(task.record.key, error) from error
        try:
            process.wait_until_ready(task.record.key, bounds)
            report = process.ask(task, bounds)
        except ChildEndedError as ended:
            self._end(process)
            raise _crashed(task.record.key, ended.status) from None
        except BaseException:
            self._end(process)
            raise
        if alone or process.is_slow:
            self._end(process)
        else:
            self._give_back(process)
        return report

    def start_early(self) -> None:
        """Have a process ready for a task that is about to come, as far as that works."""
        try:
            with self._mutex:
                if self._closed or self._idle:
                    return
                process = _Process(self._slow_seconds)
                self._all.add(process)
        except OSError:  # whoever brings the task is told
            return
        self._give_back(process)

    def pids(self, *, busy: bool = False) -> list[int]:
        """The processes that are there now; of those that have something to do, if `busy`."""
        with self._mutex:
            processes = self._all.difference(self._idle) if busy else self._all
            return [process.child.pid for process in processes]

    def close(self) -> None:
        """End all of them; tasks under way fail."""
        with self._mutex:
            self._closed = True
            busy = self._all.difference(self._idle)
            idle, self._idle = self._idle, []
        for process in busy:
            process.child.kill()
        for process in idle:
            if process.timer is not None:
                process.timer.cancel()
            self._end(process)

    def _take(self) -> _Process:
        with self._mutex:
            if self._closed:
                raise Unavailable("REPLICA_STOPPING", "the replica is about to end")
            while self._idle:
                process = self._idle.pop()
                if process.timer is not None:
                    process.timer.cancel()
                if process.child.is_alive():
                    return process
                process.child.end()
                self._all.discard(process)
            process = _Process(self._slow_seconds)
            self._all.add(process)
            return process

    def _give_back(self, process: _Process) -> None:
        timer = threading.Timer(self._idle_seconds, self._end_if_idle, [process])
        timer.daemon = True
        with self._mutex:
            closed = self._closed
            if not closed:
                process.timer = timer
                timer.start()
                self._idle.append(process)
        if closed:
            self._end(process)

    def _end_if_idle(self, process: _Process) -> None:
        with self._mutex:
            if process not in self._idle or process.timer is not threading.current_thread():
                return
            self._idle.remove(process)
        self._end(process)

    def _end(self, process: _Process) -> None:
        process.child.end()
        with self._mutex:
            self._all.discard(process)


@contextmanager
def open_preparing_processes(
    idle_seconds: float = IDLE_SECONDS, slow_seconds: float = SLOW_SECONDS
) -> Iterator[PreparingProcesses]:
    """None of them is there before it is needed, nor afterwards."""
    processes = PreparingProcesses(idle_seconds, slow_seconds)
    try:
        yield processes
    finally:
        processes.close()


def _not_started(version: str, error: OSError) -> Unavailable:
    return Unavailable(
        "LOAD_NOT_STARTED",
        f"no process could be started to open {version} on trial ({error.strerror}); it is tried again",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def _crashed(version: str, status: int) -> HeadraceError:
    if status == -signal.SIGKILL:
        return Unavailable(
            "LOAD_KILLED",
            f"the process that opened {version} on trial was killed, most likely for want of memory; it is "
            "tried again. Free some memory, or set max_load_memory_bytes to refuse such versions",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    ending = f"ended with status {status}" if status >= 0 else f"died of {_signal(-status)}"
    return FailedPrecondition(
        "LOAD_CRASHED",
        f"the process that opened {version} on trial {ending}, and so would this replica: export the model "
        "again, and push it as a new version",
        facts={"status": str(status)},
    )


def _signal(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
