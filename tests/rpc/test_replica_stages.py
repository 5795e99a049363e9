"""A replica joins when it has what it should serve, and says that it leaves before it does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from headrace import AsyncClient, errors
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.presence import read_replicas
from headrace.state.records import ReplicaRecord, ReplicaStage
from headrace_inference.app import Replica, open_replica
from headrace_inference.settings import Settings
from headrace_registry.app import open_registry
from tests.rpc.grpc_fixtures import FRONTS
from tests.rpc.registry_fixtures import onnx_file
from tests.rpc.registry_fixtures import settings as registry_settings
from tests.rpc.replica_fixtures import replica_settings

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)
WAIT_SECONDS = 30.0


@dataclass
class State:
    """A shared state, and what replicas say there."""

    redis: Any
    keys: Keys

    async def record_when(self, holds: Callable[[ReplicaRecord], bool]) -> ReplicaRecord:
        """The replica's record, once this holds of it."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                for record in await read_replicas(self.redis, self.keys):
                    if holds(record):
                        return record
                await asyncio.sleep(0.01)  # presence is asked for, as the registry does

    async def record_at(self, stage: ReplicaStage) -> ReplicaRecord:
        """The replica's record, once it is at this stage."""
        return await self.record_when(lambda record: record.stage is stage)


@asynccontextmanager
async def state_of(redis_url: str, namespace: str) -> AsyncIterator[State]:
    """The shared state while inside."""
    async with open_redis(redis_url) as redis:
        yield State(redis, Keys(namespace))


def settings_of(redis_url: str, namespace: str, folder: Path, **more: Any) -> Settings:
    """Those of a replica on free ports."""
    return replica_settings(redis_url, folder, namespace=namespace, **more)


def accepts(address: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except ConnectionRefusedError:
        return False
    return True


async def readyz(record: ReplicaRecord) -> tuple[int, str]:
    """The status and the stage that the port of operations says."""
    url = f"http://{record.metrics_address}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, (await response.json())["stage"]


async def infer(record: ReplicaRecord) -> int:
    """The status that REST answers for a model which is not there."""
    url = f"http://{record.http_address}/v2/models/none/infer"
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status


async def health(address: str) -> int:
    """What grpc.health.v1 says of the whole."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
    return int(answer.status)


@asynccontextmanager
async def opening(settings: Settings, stopping: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """A replica in the background while inside; the event is set when it is open."""
    opened, done = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with open_replica(settings, stopping):
            opened.set()
            await done.wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run())
        try:
            yield opened
        finally:
            done.set()
            if not opened.is_set():
                task.cancel()


@pytest.mark.parametrize("front", FRONTS)
async def test_ports_open_when_the_replica_has_what_it_should_serve(
    redis_url: str, namespace: str, tmp_path: Path, front: str
) -> None:
    """Until then callers of gRPC are refused, and go elsewhere; REST says 503, and why."""
    settings = settings_of(redis_url, namespace, tmp_path, front=front)
    async with (
        state_of(redis_url, namespace) as state,
        opening(settings, asyncio.Event()) as opened,
    ):
        joining = await state.record_at(ReplicaStage.JOINING)
        addresses = (joining.grpc_address, joining.http_address)
        before = accepts(joining.grpc_address), await readyz(joining), await infer(joining)
        await state.redis.set(state.keys.epoch, "one")  # an empty catalog: nothing to load
        async with asyncio.timeout(WAIT_SECONDS):
            await opened.wait()
        ready = await state.record_at(ReplicaStage.READY)
        after = accepts(ready.grpc_address), await readyz(ready), await infer(ready)
        healthy = await health(ready.grpc_address)

    assert (False, (503, "joining"), 503) == before
    assert (True, (200, "ready"), 404) == after
    assert addresses == (ready.grpc_address, ready.http_address)
    assert health_pb2.HealthCheckResponse.SERVING == healthy


async def test_a_replica_that_cannot_join_serves_what_it_has_in_the_end(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """After `join_seconds`, and says by its health that it should not be called."""
    settings = settings_of(redis_url, namespace, tmp_path, join_seconds=0.2)
    async with open_replica(settings, asyncio.Event()) as replica:
        address = replica.fronts.grpc_address
        healthy = await health(address)
        async with AsyncClient(inference=address) as client:
            assert not await client.server_ready()
    assert health_pb2.HealthCheckResponse.NOT_SERVING == healthy


@asynccontextmanager
async def replica_of(
    redis_url: str,
    namespace: str,
    folder: Path,
    models: dict[str, bytes],
    configs: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    **more: Any,
) -> AsyncIterator[tuple[Replica, AsyncClient, asyncio.Event]]:
    """A replica that starts when a registry has these models, its client, and what stops it."""
    chosen = registry_settings(redis_url, namespace, folder / "registry")
    async with open_registry(chosen, asyncio.Event()) as registry:
        more |= {"registry_address": registry.grpc_address, "tuning_seconds": 0.0}
        async with AsyncClient(registry=registry.grpc_address) as client:
            for model, graph in models.items():
                await client.push(model, graph, config=configs.get(model))
        stopping = asyncio.Event()
        settings = settings_of(redis_url, namespace, folder / "replica", **more)
        async with (
            open_replica(settings, stopping) as replica,
            AsyncClient(
                registry=registry.grpc_address, inference=replica.fronts.grpc_address
            ) as client,
        ):
            yield replica, client, stopping


async def test_the_first_call_after_the_ports_opened_is_answered(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """No caller is told that a version is not ready that another replica has."""
    models = {f"m{number}": onnx_file() for number in range(3)}
    async with replica_of(redis_url, namespace, tmp_path, models) as (_, client, _):
        answers = [await client.infer(model, {"x": ROWS}) for model in models]
    assert list(models) == [answer.model_name for answer in answers]


async def test_a_version_that_fails_keeps_no_replica_out(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It joins with what works; and stays ready while a later version loads."""
    models = {"good": onnx_file(), "impossible": onnx_file()}
    configs = {"impossible": {"provider": "PROVIDER_CUDA"}}
    async with replica_of(redis_url, namespace, tmp_path, models, configs) as (_, client, _):
        answer = await client.infer("good", {"x": ROWS})
        with pytest.raises(errors.Unavailable, match="PROVIDER_UNAVAILABLE"):
            await client.infer("impossible", {"x": ROWS}, timeout_seconds=0.2)
        loading = asyncio.create_task(_pushed_and_ready(client, "later"))
        while not loading.done():
            assert await client.server_ready()
        await loading
    assert "good" == answer.model_name


async def _pushed_and_ready(client: AsyncClient, model: str) -> None:
    await client.push(model, onnx_file())
    await client.wait_until_ready(model, 1, timeout_seconds=WAIT_SECONDS)


@pytest.mark.parametrize("front", FRONTS)
async def test_a_replica_that_leaves_says_so_and_still_answers(
    redis_url: str, namespace: str, tmp_path: Path, front: str
) -> None:
    """Readiness, health and presence send callers elsewhere; those that come all the same are served."""
    models = {"good": onnx_file()}
    async with (
        state_of(redis_url, namespace) as state,
        replica_of(redis_url, namespace, tmp_path, models, front=front) as opened,
    ):
        replica, client, stopping = opened
        stopping.set()
        leaving = await state.record_at(ReplicaStage.LEAVING)
        said = await readyz(leaving), await client.server_ready()
        async with asyncio.timeout(WAIT_SECONDS):
            while await health(leaving.grpc_address) == health_pb2.HealthCheckResponse.SERVING:
                pass
        answer = await client.infer("good", {"x": ROWS})
        async with aiohttp.ClientSession() as session:
            url = f"http://{replica.fronts.http_address}/v2/health/live"
            async with session.get(url) as response:
                connection = response.headers.get("Connection")
        with pytest.raises(errors.DeadlineExceeded, match="no replica is there"):
            await client.wait_until_ready("good", 1, timeout_seconds=1.0)

    assert ((503, "leaving"), False) == said
    assert "good" == answer.model_name
    assert "close" == connection


@pytest.mark.parametrize("setting", ["grpc_port", "http_port"])
async def test_a_port_in_use_is_told_before_anything_is_loaded(
    redis_url: str, namespace: str, tmp_path: Path, setting: str
) -> None:
    """Though the port is opened late."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {setting: taken.getsockname()[1]}
        settings = settings_of(redis_url, namespace, tmp_path, **ports)
        named = f"--{setting.replace('_', '-')}"
        with pytest.raises(ExceptionGroup) as caught:
            async with open_replica(settings, asyncio.Event()):
                pass
    matched, rest = caught.value.split(lambda error: named in str(error))
    assert matched is not None
    assert rest is None
