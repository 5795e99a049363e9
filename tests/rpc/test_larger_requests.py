"""Requests of more rows than a batch takes, on both fronts and over REST."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import Batching, ServingConfig
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica
from tests.rpc.rest_fixtures import Model, arithmetic, open_http

ROWS = 500


def served_with(**batching: Any) -> Model:
    """The model of sums and products, in batches of up to 8 rows, served so."""
    model = arithmetic()
    config = ServingConfig(batching=Batching(8, **batching))
    return replace(model, record=replace(model.record, config=config))


def sums(rows: int, seed: int) -> tuple[pb.ModelInferRequest, np.ndarray[Any, Any]]:
    """A request of so many rows, and the sums it asks for."""
    values = np.random.default_rng(seed).standard_normal((2, rows, 4)).astype(np.float32)
    request = pb.ModelInferRequest(model_name="arithmetic")
    for name, array in zip("ab", values, strict=True):
        request.inputs.add(name=name, datatype=Datatype.FP32, shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    request.outputs.add(name="sum")
    return request, values.sum(axis=0, dtype=np.float32)


async def ask(replica: GrpcReplica, rows: int, seed: int) -> bool:
    """Whether a request of so many rows is answered with its own sums."""
    request, expected = sums(rows, seed)
    answer = await replica.stub.ModelInfer(request, timeout=30)
    got = np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(rows, 4)
    return bool(np.array_equal(expected, got))


@pytest.mark.parametrize("front", FRONTS)
async def test_larger_requests_run_among_others(front: str, tmp_path: Path) -> None:
    """Large and small requests at once each get their own answers, and every row runs once."""
    sizes = [ROWS, 1, 9, 3, ROWS + 1, 8, 2, 1, 1] * 5
    model = served_with(allow_larger_requests=True)
    async with open_grpc_replica(tmp_path, model, front=front) as replica:
        right = await asyncio.gather(*(ask(replica, rows, seed) for seed, rows in enumerate(sizes)))
        statistics = await replica.stub.ModelStatistics(pb.ModelStatisticsRequest())
    (version,) = statistics.model_stats
    run = {batch.batch_size: batch.compute_infer.count for batch in version.batch_stats}
    assert [True] * len(sizes) == right
    assert max(run) <= 8 * (ROWS + 1)
    assert sum(sizes) == sum(size * count for size, count in run.items())


@pytest.mark.parametrize("front", FRONTS)
async def test_a_limit_that_was_asked_for_holds(front: str, tmp_path: Path) -> None:
    """Where larger requests are not allowed, they are refused, and the message says how to allow them."""
    async with open_grpc_replica(tmp_path, served_with(), front=front) as replica:
        code, reason, message = await failure_of(replica.stub.ModelInfer(sums(9, 0)[0]))
    assert ("INVALID_ARGUMENT", "BATCH_TOO_LARGE") == (code, reason)
    assert "batching.allow_larger_requests" in message


async def test_larger_requests_over_rest(tmp_path: Path) -> None:
    """JSON knows no other limit than gRPC does."""
    tensor = {"datatype": "FP32", "shape": [ROWS, 4], "data": [1.0] * ROWS * 4}
    body = {"inputs": [{"name": name} | tensor for name in ("a", "b")]}
    async with open_http(tmp_path, served_with(allow_larger_requests=True)) as http:
        status, answer = await http.post(body, "/v2/models/arithmetic/infer")
    assert 200 == status
    assert [2.0] * ROWS * 4 == answer["outputs"][0]["data"]


@pytest.mark.parametrize("front", FRONTS)
async def test_inputs_of_other_numbers_of_rows_run_alone(front: str, tmp_path: Path) -> None:
    """One row beside three is broadcast as ONNX Runtime does, among requests that share runs."""
    one, three = (np.arange(rows * 4, dtype=np.float32).reshape(rows, 4) for rows in (1, 3))
    request = pb.ModelInferRequest(model_name="arithmetic")
    for name, array in (("a", one), ("b", three)):
        request.inputs.add(name=name, datatype=Datatype.FP32, shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    request.outputs.add(name="sum")
    model = served_with(allow_larger_requests=True)
    async with open_grpc_replica(tmp_path, model, front=front) as replica:
        others = [ask(replica, rows, seed) for seed, rows in enumerate([1, 2, 3] * 5)]
        answer, *right = await asyncio.gather(replica.stub.ModelInfer(request), *others)
    assert [True] * len(right) == right
    assert [3, 4] == list(answer.outputs[0].shape)
    assert (one + three).tobytes() == answer.raw_output_contents[0]
