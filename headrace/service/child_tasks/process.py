"""A process that executes tasks for this one. What becomes of it becomes of nobody else."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Protocol

from headrace.machine.memory import own_memory_bytes
from headrace.service.child_tasks.messages import ChildMessage, decode_message

MAX_ANSWER_BYTES = 16 << 20
"""A signature of a thousand tensors has a hundredth of this; a hijacked process may print for ever."""
_KEPT_BYTES = 64 << 10
"""Of what it says beside its answers: the end, where libraries say why they gave up."""
_LAST_SECONDS = 5.0
"""How long a process that has closed its output may take to end."""


class ChildEndedError(Exception):
    """The process ended before it answered: its exit status, and the end of what it said on stderr."""

    def __init__(self, status: int, said: bytes) -> None:
        super().__init__(f"ended with status {status}")
        self.status = status
        self.said = said


class ChildOverTimeError(Exception):
    """The task took longer than it may."""


class ChildOverMemoryError(Exception):
    """The process took more memory than it may."""


class Watch(Protocol):
    """Decides for how long a task is waited for."""

    def pause_seconds(self) -> float:
        """For how long nobody need look."""

    def check(self) -> None:
        """Look. Raises what ends the wait; whoever waits then ends the process."""


class BoundsWatch:
    """Ends the wait for a task over its time or memory; 0 bytes of memory bound nothing."""

    def __init__(
        self,
        pid: int,
        seconds: float,
        memory_bytes: int,
        *,
        look_seconds: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pid = pid
        self._memory_bytes = memory_bytes
        self._look_seconds = look_seconds
        self._clock = clock
        self._until = clock() + seconds

    def pause_seconds(self) -> float:
        """Until the time is over, or the memory is looked at again."""
        left = max(0.0, self._until - self._clock())
        return min(left, self._look_seconds)

    def check(self) -> None:
        """Raises ChildOverTimeError, ChildOverMemoryError."""
        if self._clock() >= self._until:
            raise ChildOverTimeError
        if self._memory_bytes and own_memory_bytes(self._pid) > self._memory_bytes:
            raise ChildOverMemoryError


def ignore_progress(_: str) -> None:
    """For tasks that nobody follows."""


class ChildProcess:
    """One process. Whoever starts it ends it; `kill` alone may be called while another thread waits.

    It has a session of its own: the terminal's Ctrl-C is this process's to handle. With `keeps_errors`
    the end of its standard error is kept for ChildEndedError, else it goes where ours goes.

    Not the event loop's own way to start a process: uvloop forks, which runs handlers of every library in
    the child of a process full of threads, and now and then one of them brings the child down.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], *, keeps_errors: bool = False
    ) -> None:
        """Raises OSError where no process can be started."""
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if keeps_errors else None,
            env=dict(environ),
            start_new_session=True,
        )
        self._received = b""
        self._said = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def is_alive(self) -> bool:
        """False once it has ended."""
        return self._popen.poll() is None

    def wait_until_ready(self, watch: Watch) -> None:
        """Wait for its first word: what it takes to start is no task's. Raises as `execute` does."""
        self._next(watch)

    def execute(
        self, task: bytes, watch: Watch, on_progress: Callable[[str], None] = ignore_progress
    ) -> ChildMessage:
        """Give it a task (one line) and wait for what comes of it: a message with `result` or `error`.

        Raises ChildEndedError, and what the watch raises. Blocks.
        """
        try:
            self._give(task + b"\n", watch)
        except BrokenPipeError:
            raise self._ended() from None
        while (message := self._next(watch)).progress is not None:
            on_progress(message.progress)
        return message

    def lower_priority(self, niceness: int) -> None:
        """Let others have the cores first, from now on: nobody may raise a priority again."""
        with suppress(OSError):  # it has ended
            os.setpriority(os.PRIO_PGRP, self.pid, niceness)

    def kill(self) -> None:
        """End it, whatever it is doing; whoever waits for an answer hears of it."""
        self._popen.kill()

    def end(self) -> None:
        """End it, and wait until it is gone. Nobody waits for an answer."""
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdout, self._popen.stderr, self._popen.stdin):
            with suppress(BrokenPipeError):  # a task that it did not read
                if stream is not None:
                    stream.close()

    def _give(self, task: bytes, watch: Watch) -> None:
        """Write a task. A pipe holds 64 KiB of it: who reads none is waited for as for an answer."""
        assert self._popen.stdin is not None
        descriptor, rest = self._popen.stdin.fileno(), memoryview(task)
        os.set_blocking(descriptor, False)
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_WRITE)
            while rest:
                if selector.select(watch.pause_seconds()):
                    rest = rest[os.write(descriptor, rest) :]
                watch.check()

    def _next(self, watch: Watch) -> ChildMessage:
        with selectors.DefaultSelector() as selector:
            for stream in (self._popen.stdout, self._popen.stderr):
                if stream is not None and not stream.closed:
                    selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._received:
                ready = selector.select(watch.pause_seconds())
                watch.check()
                for key, _ in ready:
                    if not self._take(key.fd):
                        selector.unregister(key.fileobj)
        line, _, self._received = self._received.partition(b"\n")
        try:
            return decode_message(line)
        except ValueError:
            self._popen.kill()
            raise self._ended() from None

    def _take(self, descriptor: int) -> bool:
        """Take what a stream has; False at its end. Raises ChildEndedError at that of its answers."""
        chunk = os.read(descriptor, 1 << 16)
        assert self._popen.stdout is not None
        if descriptor != self._popen.stdout.fileno():
            self._said = (self._said + chunk)[-_KEPT_BYTES:]
            return bool(chunk)
        if not chunk:
            raise self._ended()
        self._received += chunk
        if len(self._received) > MAX_ANSWER_BYTES:
            self._popen.kill()
            raise self._ended()
        return True

    def _ended(self) -> ChildEndedError:
        """Return what it ended with; one that says no more and does not end is killed."""
        try:
            status = self._popen.wait(_LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            status = self._popen.wait()
        if self._popen.stderr is not None:
            self._drain(self._popen.stderr)
        return ChildEndedError(status, self._said)

    def _drain(self, stream: IO[bytes]) -> None:
        """Take what a process that has ended left; what it started may still hold the other end."""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while selector.select(0) and self._take(stream.fileno()):
                pass
