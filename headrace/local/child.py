"""One run of one child process: started, ready, stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType

from headrace import errors
from headrace.service.serving import JOINING

logger = logging.getLogger(__name__)

START_SECONDS = 90.0
"""How long a service may take to be ready, or alive: its libraries alone take seconds on a busy machine."""
_STANDARD_ERROR = 2
_OF_CLIENTS = {f"HEADRACE_{name}" for name in ("TLS_CERT", "TLS_KEY", "TOKEN_FILE")}
_LAST_STEPS_SECONDS = 5.0  # from closing the pipe that we read to the end of the process

Addresses = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """A child that is ready: its process, and what it listens on, by name."""

    process: asyncio.subprocess.Process
    addresses: Addresses


@asynccontextmanager
async def open_child(
    name: str,
    command: Sequence[str],
    pids: dict[str, int],
    *,
    grace_seconds: float,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Running]:
    """Run a service while inside; it is ready when this yields, and `pids` has it under its name.

    The service gets `--ready-fd` and `--stop-with-stdin true`: it tells its addresses by the first, or
    before them that it is alive and loads what it is going to serve, and
    by the second it stops when we are gone, however we end. Its environment is ours and `environ`. It
    leads a process group of its own, so that Ctrl-C on the terminal reaches only us, and what it started
    ends with it.
    On leaving it has `grace_seconds` to drain. Raises FailedPrecondition (CHILD_NOT_READY).
    """
    reading, writing = os.pipe()
    try:
        process = await _start(command, writing, environ)
    except OSError as error:  # no memory, no process left, no such program
        os.close(reading)
        raise _not_ready(name, f"could not be started ({error})") from error
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    pids[name] = process.pid
    try:
        yield Running(process, await _wait_until_ready(name, process, reading))
    finally:
        try:
            await _stop(name, process, grace_seconds)
        finally:
            del pids[name]


async def _start(
    command: Sequence[str], ready_fd: int, environ: Mapping[str, str]
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        "--ready-fd",
        str(ready_fd),
        "--stop-with-stdin",
        "true",
        stdin=subprocess.PIPE,
        stdout=_STANDARD_ERROR,  # our standard output is for the ready line
        pass_fds=(ready_fd,),
        process_group=0,
        env={**_inherited(), **environ},
    )


def _inherited() -> dict[str, str]:
    """Our environment, but for what clients show and bring: that is a person's, not a service's.

    gRPC's own lines are left out by default: strangers write one with each handshake that fails.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _OF_CLIENTS}
    return {"GRPC_VERBOSITY": "ERROR", **kept}


async def _wait_until_ready(
    name: str, process: asyncio.subprocess.Process, ready_fd: int
) -> Addresses:
    try:
        line = await _read_addresses(ready_fd)
    except TimeoutError:
        raise _not_ready(name, f"was not ready within {START_SECONDS:.0f} s") from None
    if not line:
        raise _not_ready(name, f"{await _how_it_ended(process)}; its own line above says why")
    addresses: dict[str, str] = json.loads(line)
    return addresses


async def _read_addresses(descriptor: int) -> bytes:
    """The line with the addresses; one that is alive may take any time to get there."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        async with asyncio.timeout(START_SECONDS) as limit:
            line = await reader.readline()
            if line and json.loads(line).get("stage") == JOINING:
                limit.reschedule(None)
                line = await reader.readline()
            return line
    finally:
        transport.close()


async def _how_it_ended(process: asyncio.subprocess.Process) -> str:
    try:
        async with asyncio.timeout(_LAST_STEPS_SECONDS):
            return f"ended with status {await process.wait()} before it was ready"
    except TimeoutError:
        return "closed its ready pipe without a word"


def _not_ready(name: str, what: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        "CHILD_NOT_READY",
        f"{name} {what}",
        facts={"child": name},
    )


async def _stop(name: str, process: asyncio.subprocess.Process, grace_seconds: float) -> None:
    assert process.stdin
    process.stdin.close()
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(grace_seconds):
            await process.wait()
    except TimeoutError:
        logger.warning("a child did not stop in time and is killed", extra={"child": name})
    finally:
        kill_group(process.pid)  # the child if it is still there, and what it left behind
    await process.wait()


def kill_group(pid: int) -> None:
    """End the process group that `pid` leads, at once, if there is anybody left in it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM when only zombies are left
        os.killpg(pid, signal.SIGKILL)
