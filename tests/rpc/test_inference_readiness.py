"""A replica is ready only when it knows what to serve and has it, or has said why not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from headrace import AsyncClient
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace_inference.app import Replica
from tests.rpc.replica_fixtures import running_replica


@asynccontextmanager
async def replica(redis_url: str, namespace: str, folder: Path) -> AsyncIterator[Replica]:
    """A replica without any registry or monitor, on free ports."""
    settings: dict[str, Any] = {"namespace": namespace, "join_seconds": 0.0}
    async with running_replica(redis_url, folder, **settings) as opened:
        yield opened


async def readiness(opened: Replica) -> tuple[int, dict[str, object]]:
    """The status and the reasons of /readyz."""
    url = f"http://{opened.fronts.metrics_address}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        facts: dict[str, object] = await response.json()
        return response.status, facts


async def test_a_replica_that_does_not_know_the_state_is_live_and_not_ready(
    tmp_path: Path, namespace: str
) -> None:
    """Without the shared state there is nothing to serve, and the reason says so."""
    async with (
        replica(f"unix://{tmp_path}/nobody.sock", namespace, tmp_path / "data") as opened,
        AsyncClient(inference=opened.fronts.grpc_address) as client,
    ):
        live, ready = await client.server_live(), await client.server_ready()
        status, facts = await readiness(opened)

    assert (live, ready, status) == (True, False, 503)
    assert facts["state_known"] is False


async def test_a_replica_becomes_ready_when_a_state_has_begun(
    redis_url: str, tmp_path: Path, namespace: str
) -> None:
    """An empty catalog is known, and then a replica with nothing to load is ready."""
    async with (
        open_redis(redis_url) as redis,
        replica(redis_url, namespace, tmp_path / "data") as opened,
        AsyncClient(inference=opened.fronts.grpc_address) as client,
    ):
        before = await client.server_ready()
        await redis.set(Keys(namespace).epoch, "one")
        async with asyncio.timeout(10):
            await anext(opened.follower.updates())
            while not await client.server_ready():  # noqa: ASYNC110 - what a caller would do
                await asyncio.sleep(0.01)
        status, _ = await readiness(opened)

    assert (before, status) == (False, 200)
