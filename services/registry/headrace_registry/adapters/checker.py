"""Checking artifacts in child processes with limits on time and memory."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from headrace import errors
from headrace.state.codec import decode, encode
from headrace.tethered import tether
from headrace_registry.adapters.check_task import OUT_OF_MEMORY, CheckReport, CheckTask, error_of
from headrace_registry.adapters.unpack import UnpackLimits
from headrace_registry.domain.artifacts import Asked, Checked, Format

_MAX_REPORT_BYTES = 16 << 20
"""A signature of a thousand tensors has a hundredth of this; a hijacked child may print for ever."""
_MEMORY_SIGNS = (b"bad_alloc", b"MemoryError", b"Cannot allocate memory", b"failed to map segment")


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """What one check may use, and how many run at a time; `custom_operators` is a folder of libraries."""

    seconds: float
    memory_bytes: int
    unpacked_bytes: int
    files: int
    expansion: int
    at_a_time: int
    custom_operators: Path | None = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int
    output: bytes


class ProcessChecker:
    """Runs one child process for each check; none outlives its check."""

    def __init__(self, limits: CheckLimits, room: Callable[[], int]) -> None:
        """`room` tells how many bytes may be written to the disk."""
        self._limits = limits
        self._room = room
        self._places = asyncio.Semaphore(limits.at_a_time)

    async def check(self, file: Path, file_format: Format, folder: Path, asked: Asked) -> Checked:
        """Unpack a pushed file into `folder`, check it and what is asked. Waits while too many are checked.

        Raises InvalidArgument for what is refused, ResourceExhausted for what unpacks to too much,
        FailedPrecondition (CUSTOM_OPERATORS_UNAVAILABLE), and
        InvalidArgument (MODEL_CHECK_TIMEOUT, MODEL_CHECK_OUT_OF_MEMORY, MODEL_CHECK_FAILED) for what
        brought the child down.
        """
        async with self._places:
            outcome = await self._run(self._task(file, file_format, folder, asked))
        report = self._report(outcome)
        if report.checked is None:
            assert report.refusal is not None
            raise error_of(report.refusal)
        return report.checked

    def _task(self, file: Path, file_format: Format, folder: Path, asked: Asked) -> CheckTask:
        libraries = self._limits.custom_operators
        return CheckTask(
            file=str(file),
            file_format=file_format,
            folder=str(folder),
            unpack=UnpackLimits(
                total_bytes=self._limits.unpacked_bytes,
                files=self._limits.files,
                disk_bytes=max(0, self._room()),
                expansion=self._limits.expansion,
            ),
            memory_bytes=self._limits.memory_bytes,
            cpu_seconds=int(self._limits.seconds) + 1,
            asked=asked,
            custom_operators=None if libraries is None else str(libraries.absolute()),
        )

    async def _run(self, task: CheckTask) -> _Outcome:
        with _child() as process:
            try:
                async with asyncio.timeout(self._limits.seconds):
                    return await asyncio.to_thread(_finish, process, encode(task))
            except TimeoutError:
                raise self._timeout() from None

    def _report(self, outcome: _Outcome) -> CheckReport:
        if outcome.status == 0:
            return decode(CheckReport, outcome.output.strip().rpartition(b"\n")[2])
        if outcome.status == -signal.SIGXCPU:
            raise self._timeout()
        killed_for_memory = outcome.status in (OUT_OF_MEMORY, -signal.SIGKILL)
        if killed_for_memory or any(sign in outcome.output for sign in _MEMORY_SIGNS):
            raise self._out_of_memory()
        raise errors.InvalidArgument(
            "MODEL_CHECK_FAILED",
            f"the process that checked the model {_ending(outcome.status)}: the model is not taken; a "
            "replica would fare no better",
            facts={"status": str(outcome.status)},
        )

    def _timeout(self) -> errors.InvalidArgument:
        return errors.InvalidArgument(
            "MODEL_CHECK_TIMEOUT",
            f"checking the model took more than {self._limits.seconds:g} s (the registry's setting "
            "check_seconds): the model is not taken",
            facts={"limit": f"{self._limits.seconds:g}", "setting": "check_seconds"},
        )

    def _out_of_memory(self) -> errors.InvalidArgument:
        return errors.InvalidArgument(
            "MODEL_CHECK_OUT_OF_MEMORY",
            f"checking the model took more than {self._limits.memory_bytes} bytes of memory (the "
            "registry's setting check_memory_bytes): the model is not taken",
            facts={"limit": str(self._limits.memory_bytes), "setting": "check_memory_bytes"},
        )


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    """The child, killed on leaving if it still runs: nothing of ours is in its environment.

    Not the event loop's own way to start a process: uvloop forks, which runs handlers of every library in
    the child of a process full of threads, and now and then one of them brings the child down.
    On Linux the child ends with this process, however that ends.
    """
    process = subprocess.Popen(
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
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _finish(process: subprocess.Popen[bytes], task: bytes) -> _Outcome:
    """Give the child its task, read what it says, keeping the last of it, and wait for its end."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError), process.stdin as stdin:  # its end says more than a broken pipe
        stdin.write(task)
    kept = b""
    with process.stdout as stream:
        while chunk := stream.read1(1 << 16):  # type: ignore[attr-defined]  # a buffered reader
            kept = (kept + chunk)[-_MAX_REPORT_BYTES:]
    return _Outcome(process.wait(), kept)


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
