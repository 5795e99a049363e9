"""Callers that go away with their calls in flight: nobody else notices, and nothing is left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from headrace.inference import grpc_service_pb2 as pb
from tests.e2e.models import scaling
from tests.e2e.traffic import client_of, flowing, push
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

ROUNDS = 10
CALLS_A_ROUND = 1000
INFER = "/inference.GRPCInferenceService/ModelInfer"


def request() -> bytes:
    """64 rows of `m`."""
    message = pb.ModelInferRequest(model_name="m")
    message.inputs.add(name="x", datatype="FP32", shape=[64, 2])
    message.raw_input_contents.append(np.ones((64, 2), np.float32).tobytes())
    return message.SerializeToString()


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_ten_thousand_dropped_calls(tmp_path: Path, front: str) -> None:
    """Calls cancelled by the thousand leave the other callers' answers and the replica as they were."""
    async with (
        running_suite(tmp_path, extra=[f"--front={front}"]) as suite,
        client_of(suite) as client,
    ):
        await push(client, "m", scaling(2.0))
        before = suite.pids()
        async with flowing(client, "m", {1: 2.0}) as traffic:
            for _ in range(ROUNDS):
                await _drop_calls(suite)
            await traffic.wait_for_more()
        await _wait_until_idle(suite)
        after = suite.pids()

    assert traffic.failures == []
    assert after == before


async def _drop_calls(suite: RunningSuite) -> None:
    """Start calls on a connection of their own, cancel half of them, and drop the connection."""
    channel = grpc.aio.insecure_channel(suite.inference)
    infer: Any = channel.unary_unary(INFER)
    payload = request()
    calls = [infer(payload) for _ in range(CALLS_A_ROUND)]
    await asyncio.wait([asyncio.ensure_future(calls[0])], timeout=10)
    for call in calls[::2]:
        call.cancel()
    await channel.close()


async def _wait_until_idle(suite: RunningSuite) -> None:
    """Wait until the replica says that nothing waits or runs any more."""
    address = suite.ready["inference"][0]["metrics"]
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{address}/metrics") as response:
                lines = (await response.text()).splitlines()
            values = [
                float(line.split()[-1])
                for line in lines
                if line.startswith(
                    ("headrace_inference_in_flight_requests", "headrace_inference_waiting_requests")
                )
            ]
            assert values
            if not any(values):
                return
            await asyncio.sleep(0.05)
