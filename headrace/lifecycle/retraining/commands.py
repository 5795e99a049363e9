"""Runs a command: with a limit of time, its output kept, nothing of it left when it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from headrace.errors import FailedPrecondition

LOG = "train.log"
_GRACE_SECONDS = 10.0
_TAIL = 800


async def run_command(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout_seconds: float,
) -> None:
    """Run a command in a folder; what it prints goes to `log`.

    Raises FailedPrecondition (TRAINING_FAILED) with the end of the log. Where this task is cancelled the
    command is ended with all that it started.
    """
    with log.open("ab") as file:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise _failed(f"{command[0]!r} cannot be run: {error.strerror or error}") from error
    try:
        with suppress(psutil.NoSuchProcess):  # it has ended already
            began = psutil.Process(process.pid).create_time()
            log.with_suffix(".pid").write_text(f"{process.pid} {began}")
        async with asyncio.timeout(timeout_seconds):
            status = await process.wait()
    except TimeoutError:
        raise _failed(
            f"{command[0]!r} took longer than {timeout_seconds:.0f} s (train.timeout){_tail(log)}"
        ) from None
    finally:
        await _end(process)
        log.with_suffix(".pid").unlink(missing_ok=True)
    if status:
        raise _failed(f"{command[0]!r} ended with status {status}{_tail(log)}")


def end_leftover(log: Path) -> None:
    """End a command that a run left behind when it was killed: the same process, by id and start."""
    try:
        pid, began = log.with_suffix(".pid").read_text().split()
        process = psutil.Process(int(pid))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return
    if abs(process.create_time() - float(began)) < 1:
        _signal(process.pid, signal.SIGKILL)
        with suppress(psutil.TimeoutExpired):
            process.wait(_GRACE_SECONDS)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it and what it started: kindly first."""
    _signal(process.pid, signal.SIGTERM if process.returncode is None else signal.SIGKILL)
    if process.returncode is not None:
        return
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        _signal(process.pid, signal.SIGKILL)
        await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _tail(log: Path) -> str:
    with suppress(OSError):
        text = log.read_bytes()[-_TAIL:].decode(errors="replace").strip()
        if text:
            return f"; the end of {log}:\n{text}"
    return ""


def _failed(what: str) -> FailedPrecondition:
    return FailedPrecondition("TRAINING_FAILED", what)
