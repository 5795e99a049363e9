"""What callers were told is what was counted, or it is marked as lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headrace import AsyncClient
from headrace.client import Statistics
from tests.e2e.models import scaling
from tests.e2e.traffic import CALLERS, client_of, flowing, push
from tests.suite import running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

FACTORS = {1: 2.0}


async def counted(client: AsyncClient, requests: int, gaps: int = 0) -> Statistics:
    """What the monitor knows, once it knows of so many requests and gaps."""
    async with asyncio.timeout(30):
        async for statistics in client.watch_statistics(600, "m", interval_seconds=0.2):
            if successes(statistics) >= requests and len(lost(statistics)) >= gaps:
                return statistics
    raise AssertionError("the watch ended")


def successes(statistics: Statistics) -> int:
    """Requests answered well."""
    return sum(version.success_count for version in statistics.versions)


def lost(statistics: Statistics) -> list[str]:
    """The replicas that ended without their last report."""
    return [gap.replica for gap in statistics.gaps if gap.reason == "REPLICA_LOST"]


def loads(statistics: Statistics) -> int:
    """How often the version was loaded."""
    return sum(each.load_time.count for each in statistics.versions if each.load_time)


async def test_a_killed_replica_is_marked_and_one_that_stops_is_whole(tmp_path: Path) -> None:
    """After kill -9 counts are complete up to the gap; after SIGTERM they are complete."""
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        async with flowing(client, "m", FACTORS) as told:
            await told.wait_for_more()
        before = await counted(client, told.count)
        async with flowing(client, "m", FACTORS) as cut:
            await cut.wait_for_more()
            killed = suite.kill("replica-0")
            await suite.wait_until_back("replica-0", killed)
            answered_before = cut.count
            await client.wait_until_ready("m", 1, timeout_seconds=30)
            await cut.wait_for_more()
        after = await counted(client, told.count, gaps=1)
        replica = after.replicas[0].replica
        assert 0 == await suite.stop()
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        statistics = await counted(client, told.count + cut.count - answered_before, gaps=1)

    assert [] == lost(before)
    assert [1, 2] == [loads(before), loads(after)]
    (version,) = before.versions
    assert version.batch_fill is not None
    assert 0 < version.batch_fill <= 1
    assert 0 <= successes(before) - told.count <= CALLERS
    assert [replica] == lost(after) == lost(statistics)
    most = told.count + cut.count + 3 * CALLERS
    assert told.count + cut.count - answered_before <= successes(statistics) <= most
