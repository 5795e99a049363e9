"""The registry as a process of its own: started, told to stop, killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc
from tests.rpc.registry_fixtures import eventually, folding_graph, push_messages


@asynccontextmanager
async def _process(redis_url: str, namespace: str, data: Path) -> AsyncIterator[Any]:
    """A registry's process, and the addresses that it says it has."""
    readable, writable = os.pipe()
    settings = {"redis-url": redis_url, "namespace": namespace, "data": str(data)}
    settings |= {"grpc-port": "0", "http-port": "0", "ready-fd": str(writable)}
    flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace_registry", *flags, pass_fds=[writable]
    )
    os.close(writable)
    with os.fdopen(readable) as pipe:
        addresses = json.loads(await asyncio.to_thread(pipe.readline))
    try:
        yield process, addresses
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_process_serves_until_it_is_told_to_stop(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It says where it listens, answers there, and ends with status 0 on SIGTERM."""
    async with _process(redis_url, namespace, tmp_path) as (process, addresses):
        async with grpc.aio.insecure_channel(addresses["grpc"]) as channel:
            stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
            listed = await stub.ListModels(pb.ListModelsRequest())
        process.terminate()
        status = await asyncio.wait_for(process.wait(), 15)
    assert 0 == len(listed.models)
    assert 0 == status


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_a_killed_registry_takes_its_checker_along(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A check that runs when the registry is killed ends too, and its staging goes at the next start."""
    artifact = folding_graph(4000, 500)
    announced = {"parent": "models/m", "filename": "m.onnx", "create_model": True}
    announced |= {"size_bytes": len(artifact), "sha256": hashlib.sha256(artifact).hexdigest()}
    async with (
        _process(redis_url, namespace, tmp_path) as (process, addresses),
        grpc.aio.insecure_channel(addresses["grpc"]) as channel,
    ):
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
        call = stub.PushVersion(push_messages(artifact, announced))
        await eventually(lambda: bool(_children(process.pid)))
        (checker,) = _children(process.pid)
        process.kill()
        await process.wait()
        await eventually(lambda: not _runs(checker))
        call.cancel()
    assert any((tmp_path / "staging").iterdir())
    async with _process(redis_url, namespace, tmp_path):
        assert not any((tmp_path / "staging").iterdir())


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, and nobody has asked for its status


async def test_a_second_registry_on_a_folder_does_not_start(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It ends with the folder, who has it and what to do; what the first one holds is untouched."""
    async with _process(redis_url, namespace, tmp_path) as (first, addresses):
        (tmp_path / "staging" / "mine").mkdir()
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headrace_registry", "--grpc-port=0", "--http-port=0"),
            *(f"--redis-url={redis_url}", f"--namespace={namespace}", f"--data={tmp_path}"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await asyncio.wait_for(second.communicate(), 20)
        async with grpc.aio.insecure_channel(addresses["grpc"]) as channel:
            stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
            await stub.ListModels(pb.ListModelsRequest())
    assert 1 == second.returncode
    for word in (f"process {first.pid} on", str(tmp_path), "--data", "DATA_IN_USE"):
        assert word in told.decode()
    assert (tmp_path / "staging" / "mine").exists()


async def test_a_killed_registry_leaves_its_folder_free(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The lock goes with the process, by SIGKILL too."""
    async with _process(redis_url, namespace, tmp_path) as (process, _):
        process.kill()
        await process.wait()
    async with _process(redis_url, namespace, tmp_path) as (_, addresses):
        assert addresses["grpc"]
