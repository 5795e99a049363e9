"""What a number stood for before the state was lost answers no more."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import AsyncClient, HeadraceError
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace_registry.app import open_registry
from tests.rpc.grpc_fixtures import FRONTS
from tests.rpc.registry_fixtures import eventually, onnx_file
from tests.rpc.registry_fixtures import settings as registry_settings
from tests.rpc.replica_fixtures import running_replica

ROW = np.zeros((1, 4), np.float32)


async def answers(client: AsyncClient, expected: float) -> set[tuple[str, float]]:
    """The versions and values that m answers with, until it answers what is expected."""
    seen: set[tuple[str, float]] = set()
    async with asyncio.timeout(30):
        while True:
            try:
                result = await client.infer("m", {"x": ROW}, version=1)
            except HeadraceError:
                continue
            value = float(next(iter(result.outputs.values())).flat[0])
            seen.add((result.model_version, value))
            if value == expected:
                return seen


async def lose_the_state(redis_url: str, namespace: str) -> None:
    """Delete all that the namespace has."""
    async with open_redis(redis_url) as redis:
        keys: list[Any] = [key async for key in redis.scan_iter(f"*{namespace}*")]
        await redis.delete(*keys)


@pytest.mark.parametrize("front", FRONTS)
async def test_after_the_state_was_lost_the_new_bytes_answer(
    redis_url: str, namespace: str, tmp_path: Path, front: Any
) -> None:
    """The replica loads what is version 1 now, and answers with it without a restart."""
    async with AsyncExitStack() as stack:
        one = registry_settings(redis_url, namespace, tmp_path / "one")
        async with open_registry(one, asyncio.Event()) as registry:
            address = registry.grpc_address
            async with AsyncClient(registry=address) as pushing:
                await pushing.push("m", onnx_file(bias=1))
            folder = tmp_path / "replica"
            replica = await stack.enter_async_context(
                running_replica(redis_url, folder, address, namespace=namespace, front=front)
            )
            client = await stack.enter_async_context(
                AsyncClient(registry=address, inference=replica.fronts.grpc_address)
            )
            assert {("1", 1.0)} == await answers(client, 1.0)
        await lose_the_state(redis_url, namespace)
        port = int(address.rpartition(":")[2])
        two = registry_settings(redis_url, namespace, tmp_path / "two", grpc_port=port)
        await stack.enter_async_context(open_registry(two, asyncio.Event()))
        await client.push("m", onnx_file(bias=7))
        seen = await answers(client, 7.0)

    assert {("1", 7.0)} == seen - {("1", 1.0)}


async def test_a_change_that_nobody_can_read_ends_no_replica(
    redis_url: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so in its log, goes on serving what it has, and reads the state anew."""
    chosen = registry_settings(redis_url, namespace, tmp_path / "registry")
    async with AsyncExitStack() as stack:
        async with open_registry(chosen, asyncio.Event()) as registry:
            address, folder = registry.grpc_address, tmp_path / "replica"
            replica = await stack.enter_async_context(
                running_replica(redis_url, folder, address, namespace=namespace)
            )
            client = await stack.enter_async_context(
                AsyncClient(registry=registry.grpc_address, inference=replica.fronts.grpc_address)
            )
            await client.push("m", onnx_file(bias=1))
            await answers(client, 1.0)
        async with open_redis(redis_url) as redis:
            revision = replica.follower.catalog.revision + 1
            keys = Keys(namespace)
            await redis.set(keys.counts, f"{revision}:1:1")
            await redis.set(keys.revision, revision)
            await redis.xadd(keys.changes, {"change": "no change"}, id=f"{revision}-0")
        await eventually(lambda: replica.follower.catalog.revision == revision)
        assert {("1", 1.0)} == await answers(client, 1.0)
    errors = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert ["waiting for the shared state: a Change in the shared state cannot be read"] == [
        message.partition(":")[0] + ":" + message.split(":")[1] for message in errors
    ]
