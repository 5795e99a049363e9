"""The embedded server keeps what it acknowledged, and no two of them share a folder."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from headrace import errors
from headrace.local import embedded_redis
from headrace.service.socket_folders import MAX_SOCKET_PATH_BYTES
from headrace.state.connection import open_redis
from tests.suite import wait_for_end

HOLD = """
import asyncio, sys
from pathlib import Path
from headrace.local import embedded_redis

async def main():
    binary = embedded_redis.find_server()
    with embedded_redis.open_location(Path(sys.argv[1])) as place:
        async with embedded_redis.open_server_process(binary, place) as process:
            print(process.pid, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_server_answers_on_a_private_socket_without_tcp(tmp_path: Path) -> None:
    """The URL is that of a Unix socket in a folder for us alone, and TCP is off."""
    async with embedded_redis.open_embedded_server(tmp_path) as url, open_redis(url) as client:
        socket = Path(url.removeprefix("unix://"))
        assert 0o700 == socket.parent.stat().st_mode & 0o777
        assert {"port": "0"} == await client.config_get("port")


async def test_write_survives_kill_of_the_server(tmp_path: Path) -> None:
    """A write that was acknowledged is there after kill -9 and a new start."""
    binary = embedded_redis.find_server()
    with embedded_redis.open_location(tmp_path) as place:
        async with embedded_redis.open_server_process(binary, place) as process:
            await write(place.url)
            process.kill()
            await process.wait()
        async with embedded_redis.open_server_process(binary, place):
            assert b"kept" == await read(place.url)


async def test_writes_are_known_to_be_on_the_disk(tmp_path: Path) -> None:
    """WAITAOF says that the local append-only file has the write."""
    async with embedded_redis.open_embedded_server(tmp_path) as url, open_redis(url) as client:
        await client.set("key", "kept")
        assert [1, 0] == await client.send("WAITAOF", 1, 0, 1000)


async def test_data_survives_an_orderly_stop_in_an_odd_folder(tmp_path: Path) -> None:
    """Blanks and quotes in the folder's name do no harm, and a stop leaves no socket behind."""
    data = tmp_path / 'it\'s "my" data'
    async with embedded_redis.open_embedded_server(data) as url:
        await write(url)
    assert not Path(url.removeprefix("unix://")).parent.exists()
    async with embedded_redis.open_embedded_server(data) as url:
        assert b"kept" == await read(url)


async def test_second_server_on_a_folder_is_refused(tmp_path: Path) -> None:
    """The error names the folder and the process, and the first server serves on."""
    async with embedded_redis.open_embedded_server(tmp_path) as url:
        with pytest.raises(errors.FailedPrecondition) as caught:
            await embedded_redis.open_embedded_server(tmp_path).__aenter__()
        await write(url)
    assert "DATA_IN_USE" == caught.value.reason
    assert f"a Redis-protocol server, process {os.getpid()} on" in caught.value.facts["holder"]
    assert str(tmp_path / "redis") in caught.value.message


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a process of its parent's end"
)
def test_server_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the parent ends the server, and the next one finds and tidies the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        server = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    asyncio.run(wait_for_end(server))
    left = Path((tmp_path / "redis" / "socket").read_text())
    with embedded_redis.open_location(tmp_path):
        assert not left.parent.exists()


async def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A damaged manifest ends the start with the server's own last words."""
    manifest = tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("this is no manifest\n")
    with pytest.raises(errors.FailedPrecondition, match="manifest") as caught:
        await embedded_redis.open_embedded_server(tmp_path).__aenter__()
    assert "EMBEDDED_SERVER_FAILED" == caught.value.reason


def test_missing_server_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no package and an empty PATH, the error names the ways out."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(errors.FailedPrecondition, match="HEADRACE_REDIS_URL") as caught:
        embedded_redis.find_server()
    assert "NO_REDIS_SERVER" == caught.value.reason


@pytest.mark.parametrize(
    ("banner", "usable"), [("Redis server v=7.2.4 sha=0", True), ("Redis server v=6.2.1", False)]
)
def test_server_on_path_must_be_new_enough(
    banner: str, usable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redis-server on PATH serves from version 7 on."""
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\necho {banner}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    if usable:
        assert embedded_redis.ServerBinary(program, "7.2.4") == embedded_redis.find_server()
    else:
        with pytest.raises(errors.FailedPrecondition):
            embedded_redis.find_server()


async def write(url: str) -> None:
    """Set a key and see it acknowledged."""
    async with open_redis(url) as client:
        assert await client.set("key", "kept")


async def read(url: str) -> bytes | str | None:
    """What the key holds."""
    async with open_redis(url) as client:
        return await client.get("key")


@pytest.mark.parametrize("note", ["", "/", "a\0b"])
async def test_a_note_that_was_cut_short_keeps_nobody_from_starting(
    tmp_path: Path, note: str
) -> None:
    """Only a socket is tidied up; whatever else the note says is left alone."""
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "socket").write_text(note)
    with embedded_redis.open_location(tmp_path) as place:
        assert str(place.socket) == (place.folder / "socket").read_text()


def test_a_note_of_a_file_that_is_no_socket_leaves_it(tmp_path: Path) -> None:
    """What is not ours is not removed."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "socket").write_text(str(mine))
    with embedded_redis.open_location(tmp_path):
        assert "mine" == mine.read_text()


async def test_a_long_temporary_folder_keeps_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path has its limit; then the socket lies in another temporary folder of the system."""
    long = tmp_path / ("a long name " * 10)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    async with embedded_redis.open_embedded_server(long / "data") as url:
        await write(url)
        assert b"kept" == await read(url)
        assert len(url.removeprefix("unix://")) <= MAX_SOCKET_PATH_BYTES
