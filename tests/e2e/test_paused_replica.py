"""A replica that is paused while callers give up, and goes on: docs/adr/0015-calls-given-up.md."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace import errors, status
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from tests.e2e.models import scaling
from tests.e2e.test_replicas_come_and_go import request
from tests.e2e.traffic import client_of, push
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

GIVE_UP = 100
X = {"x": np.ones((1, 2), np.float32)}


def pause(suite: RunningSuite) -> int:
    """Stop the replica as a debugger or a frozen machine does; its process id."""
    pid = suite.pids()["replica-0"]
    os.kill(pid, signal.SIGSTOP)
    return pid


async def told_to_a_patient_caller(suite: RunningSuite) -> str:
    """How a plain call ends that shares its connection with callers who gave up during the pause."""
    async with grpc.aio.insecure_channel(suite.inference) as channel:
        infer: Any = pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        await infer(request("m"), timeout=30)
        pid = pause(suite)
        patient = asyncio.ensure_future(infer(request("m"), timeout=30))
        hasty = [infer(request("m"), timeout=0.3) for _ in range(GIVE_UP)]
        codes = {await call.code() for call in hasty}
        last = infer(request("m"), timeout=0.3)  # when it ends, the resets of the others were sent
        codes.add(await last.code())
        os.kill(pid, signal.SIGCONT)
        try:
            await patient
            told = "OK"
        except grpc.aio.AioRpcError as error:
            told = f"{error.code().name}: {status.error_from_rpc(error).message}"
    assert {grpc.StatusCode.DEADLINE_EXCEEDED} == codes
    return told


@pytest.mark.parametrize(("front", "told"), [("native", "too_many_resets"), ("grpcio", "OK")])
async def test_calls_beside_those_that_were_given_up(tmp_path: Path, front: str, told: str) -> None:
    """The native front ends the connection; where this fails, the package bears it and the page is old."""
    async with running_suite(tmp_path, extra=[f"--front={front}"]) as suite:
        async with client_of(suite) as client:
            await push(client, "m", scaling(2.0))
        assert told in await told_to_a_patient_caller(suite)


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_our_client_hides_it(tmp_path: Path, front: str) -> None:
    """It makes the patient call again."""
    async with (
        running_suite(tmp_path, extra=[f"--front={front}"]) as suite,
        client_of(suite) as client,
    ):
        await push(client, "m", scaling(2.0))
        await client.infer("m", X)
        pid = pause(suite)
        patient = asyncio.ensure_future(client.infer("m", X, timeout_seconds=30))
        calls = (client.infer("m", X, timeout_seconds=0.3) for _ in range(GIVE_UP))
        hasty = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(errors.DeadlineExceeded):  # then the resets of the others were sent
            await client.infer("m", X, timeout_seconds=0.3)
        os.kill(pid, signal.SIGCONT)
        answer = await patient

    assert {errors.DeadlineExceeded} == {type(error) for error in hasty}
    np.testing.assert_array_equal(answer.outputs["y"], 2 * X["x"])
