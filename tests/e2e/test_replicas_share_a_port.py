"""Two replicas behind one port as real processes: one that was killed has what callers had set."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from tests.rpc.test_inference_model_control import config, graph, load, scaling
from tests.rpc.test_shared_ports import OPTIONS, region, register
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

ENVIRON = {
    "HEADRACE_INFERENCE_ALLOW_CLIENT_SHARED_MEMORY": "true",
    "HEADRACE_INFERENCE_MODEL_CONTROL": "explicit",
}
X = np.array([[1, 2]], np.float32)
CONNECTIONS = 32
"""So many are spread over both replicas, but for one case in billions."""


async def test_a_killed_replica_comes_back_with_what_callers_set(tmp_path: Path) -> None:
    """Regions and models of callers are there again before it is called at the shared port."""
    key = f"/headrace-{tmp_path.name}"
    async with AsyncExitStack() as stack:
        stack.enter_context(region(key, X.tobytes()))
        suite = await stack.enter_async_context(running_suite(tmp_path, 2, environ=ENVIRON))
        stub = await _open(stack, suite.inference)
        await stub.SystemSharedMemoryRegister(register("x", key))
        await stub.RepositoryModelLoad(load("m", config(name="m"), graph(1, scaling(3))))
        await _call_over_many_connections(suite)
        killed = suite.kill("replica-0")
        await _call_over_many_connections(suite, wait_for_ready=True)
        await suite.wait_until_back("replica-0", killed)
        await _call_over_many_connections(suite)
        own = await _open(stack, suite.ready["inference"][0]["grpc"])
        told = await own.ModelStatistics(pb.ModelStatisticsRequest(name="m"))
    assert told.model_stats[0].inference_stats.success.count > 0


async def _open(stack: AsyncExitStack, address: str) -> Any:
    channel = grpc.aio.insecure_channel(address, options=OPTIONS)
    return pb_grpc.GRPCInferenceServiceStub(await stack.enter_async_context(channel))


async def _call_over_many_connections(suite: RunningSuite, *, wait_for_ready: bool = False) -> None:
    """Every one of them is answered: by the model that a caller loaded, from a caller's memory."""
    message = pb.ModelInferRequest(model_name="m")
    message.inputs.add(name="x", datatype="FP32", shape=X.shape)
    parameters = message.inputs[0].parameters
    parameters["shared_memory_region"].string_param = "x"
    parameters["shared_memory_byte_size"].int64_param = X.nbytes
    for _ in range(CONNECTIONS):
        async with AsyncExitStack() as stack:
            stub = await _open(stack, suite.inference)
            answer = await stub.ModelInfer(message, timeout=30, wait_for_ready=wait_for_ready)
            assert (3 * X).tobytes() == answer.raw_output_contents[0]
