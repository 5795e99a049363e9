"""Callers who ask and never read: their answers count as held, and are forgotten when they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from headrace.datatypes import Datatype
from headrace.state.records import TensorSpec
from tests.hostile.frames import (
    CALL,
    DATA,
    END_HEADERS,
    HEADERS,
    PREFACE,
    block,
    call,
    connected,
    frame,
    message,
    settings,
)
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import Model, model

ANSWER_BYTES = 2**20
HELD_BYTES = 20 * ANSWER_BYTES
CALLS = 60
PATIENCE_SECONDS = 20


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def growing() -> Model:
    """A model whose answer has as many zeros as x says."""
    specs = (TensorSpec("x", Datatype.INT64, (1,)), TensorSpec("y", Datatype.FP32, (-1,)))
    node = helper.make_node("ConstantOfShape", ["x"], ["y"])
    return model("growing", [node], specs[:1], specs[1:])


def zeros(count: int) -> Any:
    """A request for so many."""
    return request("growing", np.array([count]), "INT64")


LARGE = zeros(ANSWER_BYTES // 4).SerializeToString()


def calls() -> Iterator[bytes]:
    """Many calls on one connection."""
    for number in range(CALLS):
        yield call(LARGE, stream=2 * number + 1)


def stream() -> Iterator[bytes]:
    """Many requests on one stream."""
    path = (b":path", b"/inference.GRPCInferenceService/ModelStreamInfer")
    headers = [path if header[0] == b":path" else header for header in CALL]
    yield frame(HEADERS, END_HEADERS, 1, block(headers))
    for _ in range(CALLS):
        yield frame(DATA, 0, 1, message(LARGE))


async def ask(replica: GrpcReplica, frames: Any) -> None:
    """One good request, the way that is under attack."""
    if frames is calls:
        await replica.stub.ModelInfer(zeros(1))
        return
    asked = replica.stub.ModelStreamInfer(
        iter([zeros(1)]), metadata=[("triton_grpc_error", "true")]
    )
    assert not [answer.error_message async for answer in asked if answer.error_message]


async def until(replica: GrpcReplica, frames: Any, reason: str) -> None:
    """Ask until it fails for this reason; '' waits for an answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await failure_of(ask(replica, frames)))[1] != reason:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("frames", [calls, stream])
async def test_answers_that_nobody_reads_count_as_held(
    tmp_path: Path, front: str, frames: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Others are refused at the limit, and served again when the one who does not read has gone."""
    options: dict[str, Any] = {"front": front, "max_bytes_in_flight": HELD_BYTES}
    async with open_grpc_replica(tmp_path, growing(), **options) as replica:
        with connected(replica.grpc_address) as connection:
            for part in (PREFACE + settings(), *frames()):
                connection.send(part)
            await until(replica, frames, "REPLICA_OVERLOADED")
        await until(replica, frames, "")

    assert "a bug ended a call" not in caplog.text


async def test_rest_answers_that_nobody_reads_count_as_held(tmp_path: Path) -> None:
    """They take the room of other wires, until their clients have gone."""
    count = HELD_BYTES // 4
    body = (
        b'{"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [%d]}], '
        b'"parameters": {"binary_data_output": true}}' % count
    )
    head = b"POST /v2/models/growing/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    async with open_grpc_replica(tmp_path, growing(), max_bytes_in_flight=HELD_BYTES) as replica:
        with ExitStack() as clients:
            for _ in range(2):
                client = clients.enter_context(connected(replica.http_address))
                client.send(head % len(body) + body)
            await until(replica, calls, "REPLICA_OVERLOADED")
        await until(replica, calls, "")
