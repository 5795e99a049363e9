"""Commands and services whose standard streams are closed, or whose reader is gone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from tests.rpc.client_fixtures import open_services


class Registry(registry_service_pb2_grpc.RegistryServiceServicer):
    """One without models."""

    async def ListModels(
        self, request: Any, context: Any
    ) -> registry_service_pb2.ListModelsResponse:
        return registry_service_pb2.ListModelsResponse()


async def run(command: str) -> tuple[int | None, str]:
    """The exit status of a shell's command, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-c", f"set -o pipefail; {command}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's redirections")
@pytest.mark.parametrize(
    ("arguments", "streams", "expected"),
    [
        ("models", ">&-", (0, "")),
        ("models", "<&- >&- 2>&-", (0, "")),
        ("models", "2>&1 | true", (0, "")),
        ("nothing", ">&- 2>&-", (2, "")),
    ],
)
async def test_a_command_with_closed_streams_ends_as_ever(
    arguments: str, streams: str, expected: tuple[int, str]
) -> None:
    """Its status says what became of it, without a traceback."""
    async with open_services(Registry()) as port:
        command = f"{sys.executable} -m headrace.cli --registry 127.0.0.1:{port} {arguments}"
        assert expected == await run(f"{command} {streams}")


@pytest.mark.skipif(sys.platform != "linux", reason="the shell reads /proc")
@pytest.mark.parametrize("service", ["registry", "monitor", "inference"])
async def test_a_service_with_closed_streams_keeps_their_numbers_free_of_sockets(
    service: str, redis_url: str, tmp_path: Path
) -> None:
    """It serves, and 0, 1 and 2 lead nowhere: what is written there reaches no caller."""
    flags = f"--redis-url={redis_url} --grpc-port=0 --http-port=0 --data={tmp_path}/data"
    if service == "inference":
        flags += " --metrics-port=0 --registry-address=127.0.0.1:1"
    if service == "monitor":
        flags = flags.replace(f"--redis-url={redis_url} ", "")
    ready = tmp_path / "ready"
    script = f"""
        mkfifo {ready}
        {sys.executable} -m headrace_{service} {flags} --ready-fd=7 7>{ready} <&- >&- 2>&- &
        read line < {ready}
        for number in 0 1 2; do readlink /proc/$!/fd/$number; done
        kill $!; wait $!
    """
    assert (0, "/dev/null\n" * 3) == await run(script)
