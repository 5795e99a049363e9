"""`headrace up` starts all, keeps all running, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from headrace.local import embedded_redis
from headrace.state.connection import open_redis
from tests.suite import (
    READY_SECONDS,
    RunningSuite,
    read_ready_line,
    running_suite,
    start_up,
    tidy_up,
    wait_for_end,
    without_settings,
)

pytestmark = pytest.mark.e2e
SERVING = health_pb2.HealthCheckResponse.SERVING


async def test_up_serves_until_ctrl_c(tmp_path: Path) -> None:
    """All that the one ready line names answers, and Ctrl-C ends all of it with status 0."""
    async with running_suite(tmp_path, replicas=2) as suite:
        assert ["redis", "registry", "monitor", "replica-0", "replica-1"] == list(suite.pids())
        for address in grpc_addresses(suite):
            assert SERVING == await health(address)
        assert suite.process.stdout
        assert 0 == await suite.stop(signal.SIGINT)
        assert b"" == await suite.process.stdout.read()
    assert not (suite.data / "up.json").exists()


async def test_every_killed_child_comes_back_where_it_was(tmp_path: Path) -> None:
    """After kill -9 of one child after the other, all serve again on the addresses of before."""
    async with running_suite(tmp_path) as suite:
        for name in ("redis", "registry", "monitor", "replica-0"):
            killed = suite.kill(name)
            await suite.wait_until_back(name, killed)
        now = json.loads((suite.data / "up.json").read_text())
        assert addresses(suite.ready) == addresses(now)
        for address in grpc_addresses(suite):
            assert SERVING == await health(address)


async def test_up_shares_state_through_the_server_that_it_is_given(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    """With --redis-url there is no server of its own, and the given one stays after the stop."""
    environ = {"HEADRACE_NAMESPACE": namespace, "HEADRACE_REDIS_URL": redis_url}
    async with running_suite(tmp_path, environ=environ) as suite:
        assert ["registry", "monitor", "replica-0"] == list(suite.pids())
        assert redis_url == suite.redis_url
        commands = command_lines(suite)
        assert not any(redis_url in command for command in commands), "it may hold a password"
    async with open_redis(redis_url) as client:
        assert await client.ping()


async def test_up_is_up_only_when_the_shared_state_can_be_reached(tmp_path: Path) -> None:
    """Until then one line names the server, commands name it too, and when it is there, all is up."""
    with embedded_redis.open_location(tmp_path / "state") as place:
        url = f"--redis-url={place.url}"
        process = await start_up(tmp_path / "data", url, stderr=subprocess.PIPE)
        before, registry = await registry_of(process)
        status, refused = await models_command(registry)
        async with embedded_redis.open_server_process(embedded_redis.find_server(), place):
            ready = await read_ready_line(process)
            process.send_signal(signal.SIGTERM)
            stopped, after = await ended(process)
    lines = (before + after).splitlines()
    said = [line for line in lines if "waiting for" in line and '"registry"' in line]
    assert (0, 3, 1) == (stopped, status, len(said))
    assert place.url in said[0]
    assert f"the shared state at {place.url} cannot be reached" in refused
    assert (True, place.url) == (ready["ready"], ready["redis_url"])


def command_lines(suite: RunningSuite) -> list[str]:
    """What everybody on the machine sees of the children."""
    return [Path(f"/proc/{pid}/cmdline").read_text() for pid in suite.pids().values()]


async def registry_of(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """What `up` logged until its registry listens, and where that is."""
    assert process.stderr
    text = ""
    while True:
        line = (await process.stderr.readline()).decode()
        text += line
        record = json.loads(line)
        if (record["service"], record["message"]) == ("registry", "listening"):
            return text, record["grpc"]


async def models_command(registry: str) -> tuple[int, str]:
    """The exit status and standard error of `headrace models`."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", "models", "--registry", registry, "--timeout=3"),
        stderr=subprocess.PIPE,
    )
    return await ended(command)


async def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    """Kill -9 of `up` itself ends every child too."""
    async with running_suite(tmp_path) as suite:
        children = suite.pids()
        suite.process.kill()
        await suite.process.wait()
        for pid in children.values():
            await wait_for_end(pid)


async def test_second_up_on_a_data_folder_is_refused(tmp_path: Path) -> None:
    """It ends with status 1 and the folder's name, and the first serves on."""
    async with running_suite(tmp_path) as suite:
        second = await start_up(suite.data, stderr=subprocess.PIPE)
        status, text = await ended(second)
        assert 1 == status
        assert "DATA_IN_USE" in text
        assert str(suite.data) in text
        assert SERVING == await health(suite.registry)


async def test_port_in_use_ends_up_with_its_error(tmp_path: Path) -> None:
    """It ends with status 1, names the port and its option, and starts nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start_up(tmp_path, f"--registry-port={port}", stderr=subprocess.PIPE)
        status, text = await ended(process)
    assert 1 == status
    assert f"{port} (--registry-port)" in text
    assert "PORTS_TAKEN" in text


async def test_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    """While a child hangs in its drain, a second Ctrl-C ends everything without waiting for it."""
    process = await start_up(tmp_path, stderr=subprocess.PIPE)
    pids = (await read_ready_line(process))["pids"]
    os.kill(pids["replica-0"], signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    async with asyncio.timeout(20):
        while b"stopping" not in await process.stderr.readline():
            pass
    process.send_signal(signal.SIGINT)
    assert 128 + signal.SIGINT == (await ended(process))[0]
    for pid in pids.values():
        await wait_for_end(pid)
    tidy_up(tmp_path)


def addresses(where: dict[str, object]) -> dict[str, object]:
    """All of a ready line but the process ids."""
    replicas = where["inference"]
    assert isinstance(replicas, list)
    without = [{**replica, "pid": None} for replica in replicas]
    return {**where, "inference": without, "pids": None}


def grpc_addresses(suite: RunningSuite) -> list[str]:
    """Every gRPC address of the suite."""
    replicas = [replica["grpc"] for replica in suite.ready["inference"]]
    return [suite.registry, suite.monitor, *replicas]


async def health(address: str) -> int:
    """What the server says of its health."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=20)
        return int(answer.status)


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """The exit status and standard error, whose end says that no child holds it any more."""
    async with asyncio.timeout(60):
        _, text = await process.communicate()
    assert process.returncode is not None
    return process.returncode, text.decode()


MEASURE = """
import sys, pathlib
from benchmarks.servers import suite

with suite("grpcio", pathlib.Path(sys.argv[1]), []):
    print("measuring", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere nobody tells a child of its parent's end"
)
async def test_a_benchmark_that_is_killed_leaves_no_suite_running(tmp_path: Path) -> None:
    """After kill -9 of what started a suite, `headrace up` and all its children end."""
    benchmark = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MEASURE, str(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=without_settings(os.environ) | {"PYTHONPATH": str(Path.cwd())},
    )
    assert benchmark.stdout
    async with asyncio.timeout(READY_SECONDS):
        assert b"measuring\n" == await benchmark.stdout.readline()
    status = json.loads((tmp_path / "grpcio" / "up.json").read_text())
    (up,) = _parents_of(status["pids"].values())
    benchmark.kill()
    await benchmark.wait()
    for pid in (up, *status["pids"].values()):
        await wait_for_end(pid)
    tidy_up(tmp_path / "grpcio")


def _parents_of(pids: Iterable[int]) -> set[int]:
    """The processes that started these (Linux only)."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in pids]
    return {int(text.rpartition(")")[2].split()[1]) for text in stats}
