"""Our client over two replicas that are stopped, killed and restarted: it hides all of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace import AsyncClient
from tests.e2e.models import scaling
from tests.e2e.traffic import Traffic, flowing, push
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

FRONTS = ["native", "grpcio"]


@asynccontextmanager
async def two_replicas(
    folder: Path, front: str
) -> AsyncIterator[tuple[RunningSuite, AsyncClient, Traffic]]:
    """A suite, a client of both replicas, and its callers, while inside."""
    async with running_suite(folder, replicas=2, extra=[f"--front={front}"]) as suite:
        replicas = ",".join(replica["grpc"] for replica in suite.ready["inference"])
        async with AsyncClient(registry=suite.registry, inference=replicas) as client:
            await push(client, "m", scaling(2.0))
            async with flowing(client, "m", {1: 2.0}) as traffic:
                await traffic.wait_for_more()
                yield suite, client, traffic


@pytest.mark.parametrize("front", FRONTS)
async def test_kills_and_restarts(tmp_path: Path, front: str) -> None:
    """No call fails."""
    async with two_replicas(tmp_path, front) as (suite, _, traffic):
        for name, number in (
            ("replica-0", signal.SIGKILL),
            ("replica-1", signal.SIGTERM),
            ("replica-0", signal.SIGTERM),
        ):
            pid = suite.pids()[name]
            os.kill(pid, number)
            await suite.wait_until_back(name, pid)
            await traffic.wait_for_more(500)

    assert traffic.failures == []


@pytest.mark.parametrize("front", FRONTS)
async def test_a_replica_that_is_stopped_and_goes_on(tmp_path: Path, front: str) -> None:
    """Its calls go to the other one, and it gets calls again when it answers."""
    async with two_replicas(tmp_path, front) as (suite, client, traffic):
        pid = suite.pids()["replica-0"]
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        await traffic.wait_for_more(500)
        found_out = time.monotonic() - started
        os.kill(pid, signal.SIGCONT)
        endpoint = client._calls._endpoints["inference"].all[0]
        async with asyncio.timeout(30):
            while endpoint.silent:
                await traffic.wait_for_more(10)
        await traffic.wait_for_more(500)

    assert traffic.failures == []
    assert found_out < 15.0
