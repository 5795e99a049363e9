"""A route from the client to the callers: two replicas choose alike, also after one began anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np

from headrace.client import AsyncClient
from headrace_inference.app import Replica
from headrace_registry.app import open_registry
from tests.rpc.registry_fixtures import onnx_file
from tests.rpc.registry_fixtures import settings as registry_settings
from tests.rpc.replica_fixtures import running_replica

USERS = [f"user-{number}" for number in range(12)]
MATCH: Mapping[str, int | str] = {"header:x-beta=1": 3, "parameter:tier^=gold": "third"}


async def routed(replica: Replica, revision: int) -> None:
    """Wait until a replica acts on a change."""
    reconciler = replica.reconciler
    while reconciler.applied_revision < revision or not reconciler.settled():
        reconciler.changed.clear()
        await reconciler.changed.wait()


async def copies_counted(replica: Replica, count: int) -> None:
    """Wait until the metrics tell so many copies, as requests of their version by a route of their own."""
    line = f'headrace_inference_requests_total{{model="m",version="4",route="shadow"}} {count}\n'
    url = f"http://{replica.fronts.metrics_address}/metrics"
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while line not in await (await session.get(url)).text():
            pass


async def answer(
    client: AsyncClient, headers: Mapping[str, str], tier: str = ""
) -> tuple[str, str]:
    """Which version answers, and why."""
    values = {"x": np.zeros((1, 4), np.float32)}
    result = await client.infer("m", values, headers=headers, parameters={"tier": tier})
    return result.model_version, result.route


@asynccontextmanager
async def replica_of(
    redis_url: str, namespace: str, folder: Path, registry: str
) -> AsyncIterator[tuple[Replica, AsyncClient]]:
    """A replica, and a client that knows it alone."""
    opened = running_replica(redis_url, folder, registry, namespace=namespace)
    async with (
        opened as replica,
        AsyncClient(registry=registry, inference=replica.fronts.grpc_address) as client,
    ):
        yield replica, client


async def test_a_key_leads_to_one_version_everywhere_and_always(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """And at a higher weight to the same or to the canary; rules and the shadow hold on every replica."""
    chosen = registry_settings(redis_url, namespace, tmp_path / "registry")
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry(chosen, asyncio.Event()))
        where = (redis_url, namespace)
        first, client = await stack.enter_async_context(
            replica_of(*where, tmp_path / "a", registry.grpc_address)
        )
        for bias, alias in ((1.0, ""), (2.0, "second"), (3.0, "third"), (4.0, "fourth")):
            await client.push("m", onnx_file(bias), alias=alias)
        for number in (1, 2, 3, 4):
            await client.wait_until_ready("m", number)
        seen = []
        for weight in (30.0, 60.0):
            route = await client.set_route(
                "m",
                1,
                "second",
                weight,
                sticky_key="header:x-user",
                match=MATCH,
                shadow="fourth",
                shadow_share=50,
            )
            await routed(first, int(route.etag))
            async with replica_of(*where, tmp_path / "b", registry.grpc_address) as (again, other):
                await routed(again, int(route.etag))
                asked = [await answer(client, {"X-User": user}) for user in USERS]
                assert asked == [await answer(other, {"x-user": user}) for user in USERS]
                seen.append([int(version) for version, _ in asked])
                assert {"sticky"} == {why for _, why in asked}
                for each in (client, other):
                    assert ("3", "matched") == await answer(each, {"x-beta": "1"})
                    assert ("3", "matched") == await answer(each, {"x-user": "ada"}, "golden")
                await copies_counted(again, len(USERS) // 2 + 1)

    assert {1, 2} == set(seen[0])
    assert all(before <= after for before, after in zip(*seen, strict=True))
    assert sum(seen[0]) < sum(seen[1])
