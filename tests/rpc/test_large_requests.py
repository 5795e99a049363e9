"""Requests whose decoding takes long, on both fronts: answered as others, and beside others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import Datatype, encode_bytes_elements
from headrace.inference import grpc_service_pb2 as pb
from tests.rpc.grpc_fixtures import FRONTS, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import echo

ROWS = 40_000
FLOATS, TEXTS = "echo-FP32", "echo-BYTES"


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def typed_request(values: np.ndarray[Any, Any]) -> Any:
    """FP32 values in typed contents."""
    message = pb.ModelInferRequest(model_name=FLOATS, id="typed")
    tensor = message.inputs.add(name="x", datatype="FP32", shape=values.shape)
    tensor.contents.fp32_contents.extend(values.ravel().tolist())
    return message


def text_request(count: int) -> Any:
    """Many short texts."""
    texts = np.array([f"text {number}" for number in range(count)], dtype=np.object_)
    message = request(TEXTS, np.zeros((1,)), "BYTES", "texts")
    message.inputs[0].shape[:] = [count]
    message.raw_input_contents[0] = encode_bytes_elements(texts)
    return message


async def test_large_requests_are_answered_beside_small_ones(tmp_path: Path, front: str) -> None:
    """Each gets its own values back, whichever thread decoded it."""
    models = (echo(Datatype.FP32), echo(Datatype.BYTES))
    values = np.arange(ROWS, dtype=np.float32)
    async with open_grpc_replica(tmp_path, *models, front=front) as replica:
        infer = replica.stub.ModelInfer
        small = [infer(request(FLOATS, np.array([number], np.float32))) for number in range(50)]
        typed, texts = infer(typed_request(values)), infer(text_request(ROWS))
        answers = [await call for call in small]
        typed_answer, text_answer = await typed, await texts

    got = [np.frombuffer(answer.raw_output_contents[0], np.float32)[0] for answer in answers]
    assert list(range(50)) == got
    assert values.tobytes() == typed_answer.raw_output_contents[0]
    assert text_request(ROWS).raw_input_contents[0] == text_answer.raw_output_contents[0]
    assert ("typed", "texts") == (typed_answer.id, text_answer.id)


async def test_what_is_wrong_with_a_large_request_is_told_as_ever(
    tmp_path: Path, front: str
) -> None:
    """Counts, texts, names: the same statuses and reasons as for a small one."""
    models = (echo(Datatype.FP32), echo(Datatype.BYTES))
    async with open_grpc_replica(tmp_path, *models, front=front) as replica:
        infer = replica.stub.ModelInfer
        few = typed_request(np.zeros(ROWS, np.float32))
        few.inputs[0].shape[:] = [ROWS + 1]
        mixed = typed_request(np.zeros(ROWS, np.float32))
        mixed.raw_input_contents.append(b"1234")
        unknown = typed_request(np.zeros(ROWS, np.float32))
        unknown.model_name = "unknown"
        binary = text_request(ROWS)
        binary.raw_input_contents[0] = b"\x01\0\0\0\xff" * ROWS
        outcomes = [
            (await failure_of(infer(message)))[:2] for message in (few, mixed, unknown, binary)
        ]
        answer = await infer(request(FLOATS, np.array([7], np.float32)))

    assert [
        ("INVALID_ARGUMENT", "CONTENTS_COUNT_MISMATCH"),
        ("INVALID_ARGUMENT", "CONTENTS_MIXED"),
        ("NOT_FOUND", "MODEL_NOT_FOUND"),
        ("INVALID_ARGUMENT", "BYTES_NOT_UTF8"),
    ] == outcomes
    assert np.float32(7).tobytes() == answer.raw_output_contents[0]


async def test_large_requests_count_against_what_a_replica_holds(tmp_path: Path) -> None:
    """While one waits to be decoded, too: nothing is left behind when all are answered or gone."""
    options: dict[str, Any] = {"front": "native", "max_bytes_in_flight": 2_000_000}
    async with open_grpc_replica(tmp_path, echo(Datatype.BYTES), **options) as replica:
        calls = [replica.stub.ModelInfer(text_request(ROWS)) for _ in range(20)]
        calls[0].cancel()
        outcomes = [(await failure_of(call))[1] for call in calls[1:]]
        answer = await replica.stub.ModelInfer(text_request(ROWS))

    assert {"", "REPLICA_OVERLOADED"} == set(outcomes)
    assert "texts" == answer.id


@pytest.mark.parametrize("seconds", [0.001])
async def test_a_large_request_may_come_too_late(
    tmp_path: Path, front: str, seconds: float
) -> None:
    """Its deadline is that of the moment when it came."""
    async with open_grpc_replica(tmp_path, echo(Datatype.BYTES), front=front) as replica:
        message = text_request(10 * ROWS)
        calls = [replica.stub.ModelInfer(message, timeout=seconds) for _ in range(3)]
        codes = {(await failure_of(call))[0] for call in calls}
        async with asyncio.timeout(20):
            answer = await replica.stub.ModelInfer(text_request(1))

    assert {"DEADLINE_EXCEEDED"} == codes
    assert "texts" == answer.id
