"""A revoked key opens no replica a second later; a replica that is cut off goes on, and says so."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from headrace import errors
from headrace.client import AsyncClient
from headrace.client.settings import read_client_settings
from tests.e2e.models import scaling
from tests.e2e.traffic import push
from tests.suite import RunningSuite, running_suite

ROUNDS = 8
INPUT = {"x": np.ones((1, 2), np.float32)}


def client_of(suite: RunningSuite, key: Path, inference: str = "") -> AsyncClient:
    """A client with this key; of one replica, or of all."""
    return AsyncClient(
        settings=read_client_settings(
            {},
            registry=suite.registry,
            monitor=suite.monitor,
            inference=inference or suite.inference,
            token_file=key,
        )
    )


async def until_refused(client: AsyncClient) -> float:
    """Call until the key opens nothing; when that was."""
    while True:
        try:
            await client.infer("small", INPUT)
        except errors.Unauthenticated:
            return time.monotonic()


async def until_answered(client: AsyncClient) -> None:
    """Call until the key opens, which it does as soon as it is known there."""
    while True:
        try:
            await client.infer("small", INPUT)
        except errors.Unauthenticated:
            continue
        return


async def revoked_after(
    suite: RunningSuite, admin: AsyncClient, key: Path, replicas: Sequence[str]
) -> list[float]:
    """A key is made, used at all replicas, and revoked: how long after that was asked each refused it."""
    made = await admin.create_api_key("web", grants=["caller"])
    await asyncio.to_thread(key.write_text, made.secret)
    async with AsyncExitStack() as stack:
        opened = (client_of(suite, key, where) for where in replicas)
        clients = [await stack.enter_async_context(client) for client in opened]
        await asyncio.gather(*map(until_answered, clients))
        waiting = [asyncio.create_task(until_refused(client)) for client in clients]
        asked = time.monotonic()
        await admin.revoke_api_key(made.key.id)
        return [when - asked for when in await asyncio.gather(*waiting)]


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


async def readiness(address: str) -> Any:
    """The facts of /readyz."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}/readyz") as page:
        return await page.json()


async def test_a_revocation_reaches_every_replica_within_a_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a suite that made its own keys; the figure is printed."""
    admin_key, key = tmp_path / "admin.key", tmp_path / "web.key"
    flags = ["--auth", f"--admin-key-file={admin_key}"]
    async with running_suite(tmp_path, replicas=3, extra=flags) as suite:
        assert stat.S_IMODE(admin_key.stat().st_mode) == 0o600
        replicas = [each["grpc"] for each in suite.ready["inference"]]
        async with client_of(suite, admin_key) as admin:
            await push(admin, "small", scaling(2.0))
            took = [
                seconds
                for _ in range(ROUNDS)
                for seconds in await revoked_after(suite, admin, key, replicas)
            ]
            keys = await admin.api_keys()
        secrets = [path.read_text().strip() for path in (suite.data / "secrets").glob("*.key")]
        status = (suite.data / "up.json").read_text()
    assert 3 * ROUNDS == len(took)
    assert max(took) < 1.0
    milliseconds = [1000 * seconds for seconds in took]
    with capsys.disabled():
        print(
            f"\na revoked key is refused at each of 3 replicas after "
            f"{statistics.median(milliseconds):.0f} ms (median), "
            f"{max(milliseconds):.0f} ms (longest of {len(took)})"
        )
    assert {"headrace-monitor", "headrace-replica", "admin", "web"} == {k.subject for k in keys}
    assert secrets
    assert not any(secret in status for secret in secrets)


@pytest.mark.toolchain
async def test_replicas_that_are_cut_off_go_on_with_what_they_have(tmp_path: Path) -> None:
    """Keys open as before while Redis says nothing, which /readyz says; then changes come, and go."""
    admin_key, key = tmp_path / "admin.key", tmp_path / "web.key"
    flags = ["--auth", f"--admin-key-file={admin_key}"]
    async with running_suite(tmp_path, extra=flags) as suite:
        redis, days = suite.pids()["redis"], {today()}
        metrics = suite.ready["inference"][0]["metrics"]
        async with client_of(suite, admin_key) as admin:
            await push(admin, "small", scaling(2.0))
            made = await admin.create_api_key("web", grants=["caller"])
            key.write_text(made.secret)
            async with client_of(suite, key) as client:
                await until_answered(client)
                os.kill(redis, signal.SIGSTOP)
                try:
                    async with asyncio.timeout(30):
                        while (facts := await readiness(metrics))["state_connected"]:
                            await client.infer("small", INPUT)
                    await client.infer("small", INPUT)
                finally:
                    os.kill(redis, signal.SIGCONT)
                await admin.revoke_api_key(made.key.id)
                await until_refused(client)
            async with asyncio.timeout(20):
                while not (used := (await admin.api_keys("web"))[0].last_used_on):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # another process notes it, every five seconds
    days.add(today())
    assert date.fromisoformat(used) in days
    assert facts["state_connected"] is False
    assert "cannot be reached" in json.dumps(facts)
