"""Runs a command: with a limit of time, its output kept, nothing of it left when it is over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import psutil

from headrace.errors import FailedPrecondition
from headrace.lifecycle.retraining.output_log import OutputLog, end_of

LOG = "train.log"
OUT = "HEADRACE_OUT"
_GRACE_SECONDS = 10.0
_DRAIN_SECONDS = 1.0
_PIECE = 1 << 16


async def run_command(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout_seconds: float,
) -> None:
    """Run a command in a folder; what it prints goes to `log`, of which the newest part is kept.

    Raises FailedPrecondition (TRAINING_FAILED) with the end of the log. When it is over, or this task is
    cancelled, it is ended with all that it started.
    """
    async with _kept_output(log) as writing:
        process = await _started(command, folder, environment, writing)
        try:
            async with asyncio.timeout(timeout_seconds):
                status = await process.wait()
        except TimeoutError:
            status = None
        finally:
            await _end(process)
            if OUT in environment:
                await asyncio.to_thread(end_all_of, Path(environment[OUT]))
    if status is None:
        what = f"took longer than {timeout_seconds:.0f} s (train.timeout)"
        raise failed(f"{command[0]!r} {what}{end_of(log)}")
    if status:
        raise failed(f"{command[0]!r} {_ended_how(status)}{end_of(log)}")


def end_all_of(folder: Path) -> None:
    """End all processes whose HEADRACE_OUT lies in a folder: also those that left their group.

    So is ended what a run left behind when it was killed, at whatever moment.
    """
    left = list(_processes_of(folder))
    for process in left:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()
    psutil.wait_procs(left, _GRACE_SECONDS)


def _processes_of(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            out = process.environ().get(OUT, "")
            if out and process.pid != os.getpid() and Path(out).is_relative_to(folder):
                yield process


async def _started(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], writing: int
) -> asyncio.subprocess.Process:
    """The command as a process; `writing` is closed here."""
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise failed(f"{command[0]!r} cannot be run: {why or error}") from error
    finally:
        os.close(writing)


@asynccontextmanager
async def _kept_output(log: Path) -> AsyncIterator[int]:
    """The end of a pipe that a command writes to; whoever gets it closes it.

    What the command left running may hold the pipe open: it is not waited for.
    """
    with closing(OutputLog(log)) as kept:
        reading, writing = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        try:
            async with asyncio.TaskGroup() as group:
                pump = group.create_task(_pumped(reader, kept))
                yield writing
                await asyncio.wait((pump,), timeout=_DRAIN_SECONDS)
                pump.cancel()
        except ExceptionGroup as errors_of:
            raise errors_of.exceptions[0] from None
        finally:
            transport.close()


async def _pumped(reader: asyncio.StreamReader, log: OutputLog) -> None:
    while piece := await reader.read(_PIECE):
        log.write(piece)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it and what it started: kindly first."""
    _signal(process.pid, signal.SIGTERM if process.returncode is None else signal.SIGKILL)
    if process.returncode is not None:
        return
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _ended_how(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    more = ": the system does that when memory is short" if name == "SIGKILL" else ""
    return f"was ended by {name}{more}"


def failed(what: str) -> FailedPrecondition:
    """An error of the command, or of what it wrote."""
    return FailedPrecondition("TRAINING_FAILED", what)
