"""A suite behind its gateway: replicas that are killed and restarted under callers who notice nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest

from headrace import AsyncClient, status
from headrace.inference import grpc_service_pb2 as pb
from tests.e2e.models import scaling
from tests.e2e.traffic import push
from tests.gateway.envoy import needs_envoy
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, needs_envoy]
INFER = "/inference.GRPCInferenceService/ModelInfer"
RATE = 500
CHANNELS = 4


@asynccontextmanager
async def behind_a_gateway(folder: Path, replicas: int, *extra: str) -> AsyncIterator[RunningSuite]:
    """A suite with a model, and a gateway before it."""
    async with running_suite(folder, replicas=replicas, extra=["--gateway", *extra]) as suite:
        async with AsyncClient(registry=suite.registry, inference=suite.inference) as client:
            await push(client, "scale", scaling(2.0))
        yield suite


class SteadyCallers:
    """Call at a rate, whatever becomes of the calls, and note what they are told."""

    def __init__(self, address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(address, options) for _ in range(CHANNELS)]
        message = pb.ModelInferRequest(model_name="scale")
        message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        message.raw_input_contents.append(np.ones((1, 2), np.float32).tobytes())
        self._request = message.SerializeToString()
        self.told: Counter[str] = Counter()

    async def _call(self, number: int) -> None:
        call: Any = self._channels[number % CHANNELS].unary_unary(INFER)
        try:
            await call(self._request, timeout=20)
            self.told["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self.told[f"{error.code().name} {status.error_from_rpc(error).message}"] += 1

    async def call_until(self, stopping: asyncio.Event) -> None:
        """Begin calls at the rate; then wait for the last ones."""
        began, count = time.monotonic(), 0
        async with asyncio.TaskGroup() as calls:
            while not stopping.is_set():
                due = int((time.monotonic() - began) * RATE)
                for number in range(count, due):
                    calls.create_task(self._call(number))
                count = due
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels:
            await channel.close()


@asynccontextmanager
async def steady_calls(suite: RunningSuite) -> AsyncIterator[Counter[str]]:
    """What callers are told while inside; on leaving, those whose calls run are waited for."""
    callers, stopping = SteadyCallers(suite.inference), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(callers.call_until(stopping))
        try:
            yield callers.told
        finally:
            stopping.set()
    await callers.close()


async def test_no_call_fails_when_replicas_are_killed_and_restarted(tmp_path: Path) -> None:
    """A kill -9, then a restart of three replicas one after the other, at 500 calls a second."""
    async with behind_a_gateway(tmp_path, 3) as suite, steady_calls(suite) as told:
        await suite.wait_until_back("replica-1", suite.kill("replica-1"))
        for name in ("replica-0", "replica-1", "replica-2"):
            pid = suite.pids()[name]
            os.kill(pid, signal.SIGTERM)
            await suite.wait_until_back(name, pid)
        await asyncio.sleep(1.0)  # calls go on for a while after the last one is back
    assert {"OK"} == set(told)
    assert told["OK"] > 5 * RATE


async def test_no_call_fails_when_another_envoy_takes_over(tmp_path: Path) -> None:
    """The settings file changes at 500 calls a second; the old Envoy ends some seconds later."""
    file = tmp_path / "gateway.toml"
    file.write_text("retries = 3\n")
    opening = behind_a_gateway(tmp_path, 1, f"--gateway-settings={file}")
    async with opening as suite, steady_calls(suite) as told:
        envoys = _envoys(suite)
        file.write_text("retries = 2\n")
        async with asyncio.timeout(30):
            while not envoys.isdisjoint(now := _envoys(suite)) or not now:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert {"OK"} == set(told)
    assert told["OK"] > 2 * RATE


def _envoys(suite: RunningSuite) -> set[int]:
    """The processes of Envoy that the gateway has."""
    return {child.pid for child in psutil.Process(suite.pids()["gateway"]).children()}


async def test_the_gateway_comes_back_at_the_same_address(tmp_path: Path) -> None:
    """After a kill -9 of it, Envoy ends too, and both are started again."""
    async with behind_a_gateway(tmp_path, 1) as suite:
        await suite.wait_until_back("gateway", suite.kill("gateway"))
        async with AsyncClient(inference=suite.inference) as client:
            answer = await client.infer("scale", {"x": np.ones((1, 2), np.float32)})
    assert [[2.0, 2.0]] == answer.outputs["y"].tolist()


async def test_replicas_behind_a_gateway_have_no_ports(tmp_path: Path) -> None:
    """They serve at sockets in a folder that only this account may enter; the gateway has the address."""
    async with behind_a_gateway(tmp_path, 2) as suite:
        found = [replica[wire] for replica in suite.ready["inference"] for wire in ("grpc", "http")]
        folders = {Path(address.removeprefix("unix:")).parent for address in found}
        modes = {oct(folder.stat().st_mode & 0o777) for folder in folders}
        gateway = suite.ready["gateway"]
        assert (gateway, gateway) == (suite.inference, suite.rest)
    assert (True, {"0o700"}) == (all(one.startswith("unix:/") for one in found), modes)
    assert not [folder for folder in folders if folder.exists()]
