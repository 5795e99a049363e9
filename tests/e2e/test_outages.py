"""kill -9 of every kind of process during traffic: serving goes on, all comes back, nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headrace import AsyncClient, HeadraceError
from headrace.errors import FailedPrecondition, Unavailable
from tests.e2e.models import scaling
from tests.e2e.traffic import client_of, flowing, push
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

FACTORS = {1: 2.0, 2: 3.0, 3: 4.0}


async def test_the_registry_dies(tmp_path: Path) -> None:
    """No request fails; every acknowledged push, alias and route is there when it is back."""
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        await push(client, "m", scaling(3.0))
        await client.alias("m", "old", 1)
        await client.set_route("m", stable=2)
        async with flowing(client, "m", FACTORS) as traffic:
            await traffic.wait_for_more(version=2)
            killed = suite.kill("registry")
            await traffic.wait_for_more()
            await suite.wait_until_back("registry", killed)
            await push(client, "m", scaling(4.0))
            await client.set_route("m", stable=3)
            await traffic.wait_for_more(version=3)
        route, aliases = await client.route("m"), await client.aliases("m")

    assert traffic.failures == []
    assert (route.stable, route.previous) == (3, 2)
    assert [(alias.name, alias.version) for alias in aliases] == [("old", 1)]


async def test_the_monitor_dies(tmp_path: Path) -> None:
    """No request fails, and when it is back it has seen every one of them."""
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        async with flowing(client, "m", FACTORS) as traffic:
            await traffic.wait_for_more()
            killed = suite.kill("monitor")
            await traffic.wait_for_more()
            await suite.wait_until_back("monitor", killed)
            await traffic.wait_for_more()
        async with asyncio.timeout(30):
            async for statistics in client.watch_statistics(600, "m", interval_seconds=0.2):
                seen = statistics.versions[0].success_count if statistics.versions else 0
                if seen >= traffic.count:
                    break

    assert traffic.failures == []
    # Requests that were answered after their caller was cancelled are seen, but not counted here.
    assert 0 <= seen - traffic.count <= 8


async def test_a_replica_dies(tmp_path: Path) -> None:
    """The other one serves on; the dead one comes back on its port with all it had."""
    async with (
        running_suite(tmp_path, replicas=2) as suite,
        client_of(suite, 0) as first,
        client_of(suite, 1) as second,
    ):
        await push(first, "m", scaling(2.0))
        await push(first, "m", scaling(3.0))
        async with flowing(second, "m", FACTORS) as traffic:
            killed = suite.kill("replica-0")
            await traffic.wait_for_more()
            await suite.wait_until_back("replica-0", killed)
            await _wait_until_ready_means_ready(first)
            await first.wait_until_ready("m", 2, timeout_seconds=30)
            async with flowing(first, "m", FACTORS) as returned:
                await returned.wait_for_more()

    assert traffic.failures == []
    assert returned.failures == []


async def _wait_until_ready_means_ready(client: AsyncClient) -> None:
    """A replica that came back says that it is ready only once its versions are."""
    async with asyncio.timeout(30):
        while not await client.server_ready():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    assert await client.model_ready("m", 1)
    assert await client.model_ready("m", 2)


async def test_redis_dies(tmp_path: Path) -> None:
    """No request fails, writes are refused or kept, and what was acknowledged is there afterwards."""
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        await push(client, "m", scaling(3.0))
        await client.alias("m", "moving", 1)
        async with flowing(client, "m", FACTORS) as traffic:
            await traffic.wait_for_more()
            acknowledged, refused = await _move_alias_while_redis_dies(suite, client)
            await traffic.wait_for_more()
            await push(client, "m", scaling(4.0))
            await client.set_route("m", stable=3)
            await traffic.wait_for_more(version=3)
        kept = await client.get_alias("m", "moving")

    assert traffic.failures == []
    assert {type(error) for error in refused} <= {Unavailable}
    assert kept.version == acknowledged


async def _move_alias_while_redis_dies(
    suite: RunningSuite, client: AsyncClient
) -> tuple[int, list[HeadraceError]]:
    """Move the alias to and fro over the outage; the last acknowledged version, and the refusals.

    Ends with an acknowledged move, so that what must be kept is known.
    """
    refused: list[HeadraceError] = []
    killed = suite.kill("redis")
    back = asyncio.create_task(suite.wait_until_back("redis", killed))
    for number in range(10_000):
        version = 1 + number % 2
        try:
            await client.alias("m", "moving", version, timeout_seconds=1)
        except HeadraceError as error:
            refused.append(error)
            continue
        if back.done():
            return version, refused
    raise AssertionError("the server did not come back")


async def test_a_route_moves_under_load_without_a_failure(tmp_path: Path) -> None:
    """Requests are answered by the version before or the version after, many times to and fro."""
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        await push(client, "m", scaling(3.0))
        async with flowing(client, "m", FACTORS) as traffic:
            for number in range(10):
                stable = 1 + (number + 1) % 2
                await client.set_route("m", stable=stable)
                await traffic.wait_for_more(50, version=stable)

    assert traffic.failures == []
    assert set(traffic.answers) == {1, 2}


async def test_a_version_that_cannot_be_loaded_does_not_take_over(tmp_path: Path) -> None:
    """A route to it is refused; forced, the version before answers on, and the reason is shown."""
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        version = await client.push("m", scaling(3.0), config={"provider": "PROVIDER_CUDA"})
        with pytest.raises(FailedPrecondition, match="no replica serves version 2"):
            await client.set_route("m", stable=version.number)
        await client.set_route("m", stable=version.number, allow_unready=True)
        async with flowing(client, "m", FACTORS) as traffic:
            await traffic.wait_for_more(version=1)
            with pytest.raises(FailedPrecondition, match="PROVIDER_UNAVAILABLE"):
                await client.wait_until_ready("m", version.number)
        (replica,) = await client.replicas()
        answer = await client.infer("m", {"x": [[1.0, 2.0]]})

    failed = [seen for seen in replica.versions if seen.number == version.number]
    assert traffic.failures == []
    assert set(traffic.answers) == {1}
    assert answer.route == "held"
    assert failed[0].state == "UNAVAILABLE"
    assert "PROVIDER_UNAVAILABLE" in failed[0].reason
