"""A batch never changes an answer, whatever a version's config says of its graph, behind both fronts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from onnx import helper, numpy_helper

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import Batching, LoadState, ServingConfig, TensorSpec, WarmUp
from headrace_inference.domain.versions.batch_executor import ALONE_FIRST
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import Model, model

DELAY = 5_000_000
"""Microseconds: longer than any test waits, so that a batch forms when it is complete."""

NO_WARM_UP = WarmUp(runs=0)


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def constant(name: str, values: Any) -> Any:
    """A node that gives these values."""
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values, name))


def detector() -> Model:
    """Answers where x is over 5: as many rows of [row, column] as there are such values."""
    nodes = [
        constant("limit", np.array(5, np.float32)),
        helper.make_node("Greater", ["x", "limit"], ["over"]),
        helper.make_node("NonZero", ["over"], ["where"]),
        helper.make_node("Transpose", ["where"], ["hits"], perm=[1, 0]),
    ]
    inputs = [TensorSpec("x", Datatype.FP32, (-1, 3), ("batch", ""))]
    return model("m", nodes, inputs, [TensorSpec("hits", Datatype.INT64, (-1, 2), ("batch", ""))])


def identity(*shape: int) -> Model:
    """Answers y = x."""
    specs = [TensorSpec(name, Datatype.FP32, (-1, *shape)) for name in ("x", "y")]
    return model("m", [helper.make_node("Identity", ["x"], ["y"])], specs[:1], specs[1:])


def filling() -> Model:
    """Answers y = x and as many zeros, in a row of its own, as the largest x says."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        constant("flat", np.array([1], np.int64)),
        helper.make_node("Reshape", ["most", "flat"], ["count"]),
        helper.make_node("ConstantOfShape", ["count"], ["zeros"]),
        helper.make_node("Unsqueeze", ["zeros", "axis"], ["row"]),
        helper.make_node("Shape", ["x"], ["rows"], end=1),
        helper.make_node("Concat", ["rows", "flat"], ["target"], axis=0),
        helper.make_node("Expand", ["row", "target"], ["z"]),
        helper.make_node("Identity", ["x"], ["y"]),
    ]
    inputs = [TensorSpec("x", Datatype.INT64, (-1, 1))]
    outputs = [TensorSpec("y", Datatype.INT64, (-1, 1)), TensorSpec("z", Datatype.FP32, (-1, -1))]
    nodes.insert(0, constant("axis", np.array([0], np.int64)))
    return model("m", nodes, inputs, outputs)


def widening() -> Model:
    """Answers each x 250 times: a thousand bytes a row."""
    nodes = [
        constant("columns", np.array([1, 250], np.int64)),
        helper.make_node("Expand", ["x", "columns"], ["y"]),
    ]
    outputs = [TensorSpec("y", Datatype.FP32, (-1, 250))]
    return model("m", nodes, [TensorSpec("x", Datatype.FP32, (-1, 1))], outputs)


def batched(
    served: Model, together: int, *, warm_up: WarmUp = NO_WARM_UP, allowed: Sequence[int] = ()
) -> Model:
    """The model forced to batch so many requests of one row, which wait for one another."""
    batching = Batching(
        max_batch_size=8,
        preferred_batch_sizes=(together,),
        max_queue_delay_microseconds=DELAY if together > 1 else 0,
        allowed_batch_sizes=tuple(allowed),
    )
    config = ServingConfig(batching=batching, warm_up=warm_up)
    return replace(served, record=replace(served.record, config=config))


def asking(values: Sequence[Sequence[float]], datatype: str = "FP32") -> Any:
    """A request with these rows."""
    dtype = {"FP32": np.float32, "INT64": np.int64}[datatype]
    return request("m", np.array(values, dtype), datatype)


def array_of(answer: Any, place: int = 0) -> np.ndarray[Any, Any]:
    """An output of an answer."""
    spec = answer.outputs[place]
    dtype = {"FP32": np.float32, "INT64": np.int64}[spec.datatype]
    return np.frombuffer(answer.raw_output_contents[place], dtype).reshape(spec.shape)


async def hits_of(replica: GrpcReplica, row: Sequence[float]) -> list[list[int]]:
    """What the detector finds in a row."""
    found: list[list[int]] = array_of(await replica.stub.ModelInfer(asking([row]))).tolist()
    return found


async def show_rows(replica: GrpcReplica, complete: Any) -> None:
    """Send complete batches of one request until requests may share a run."""
    for _ in range(ALONE_FIRST):
        await replica.stub.ModelInfer(complete)


async def notes_of(replica: GrpcReplica) -> tuple[str, str, int]:
    """What the index and the replica's presence say of the version, and what is counted."""
    index = await replica.stub.RepositoryIndex(pb.RepositoryIndexRequest())
    (version,) = replica.ingress.reconciler.versions()
    assert LoadState.READY == version.state
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{replica.metrics_address}/metrics") as response,
    ):
        lines = (await response.text()).splitlines()
    (count,) = [
        int(line.rpartition(" ")[2])
        for line in lines
        if line.startswith('headrace_inference_batching_disabled_total{model="m",version="1"}')
    ]
    return index.models[0].reason, version.reason, count


@asynccontextmanager
async def open_batched(
    tmp_path: Path, front: str, served: Model, together: int = 2, **options: Any
) -> AsyncIterator[GrpcReplica]:
    """A replica that serves a model batched."""
    own = {key: options.pop(key) for key in ("warm_up", "allowed") if key in options}
    async with open_grpc_replica(
        tmp_path, batched(served, together, **own), front=front, **options
    ) as replica:
        yield replica


@pytest.mark.parametrize("warm_up", [NO_WARM_UP, WarmUp()])
async def test_a_lone_answer_has_all_rows_that_were_found(
    tmp_path: Path, front: str, warm_up: WarmUp
) -> None:
    """Three rows for one, or none, as ONNX Runtime gives them."""
    async with open_batched(tmp_path, front, detector(), 1, warm_up=warm_up) as replica:
        found = [await hits_of(replica, row) for row in ([0, 9, 0], [9, 9, 9], [0, 0, 0])]
        reason, _, count = await notes_of(replica)
    assert [[[0, 1]], [[0, 0], [0, 1], [0, 2]], []] == found
    assert (reason.startswith("batching off: output 'hits'"), 1) == (True, count)


async def test_requests_whose_rows_do_not_add_up_are_run_again_one_by_one(
    tmp_path: Path, front: str
) -> None:
    """Each gets what it gets alone, the version is batched no more, and everybody can see why."""
    async with open_batched(tmp_path, front, detector()) as replica:
        await show_rows(replica, asking([[0, 9, 0]] * 2))
        before = await notes_of(replica)
        first = await asyncio.gather(*(hits_of(replica, row) for row in ([0, 0, 0], [9, 9, 9])))
        after = await notes_of(replica)
        lone = await asyncio.wait_for(hits_of(replica, [0, 9, 9]), DELAY / 2e6)
    assert ("", "", 0) == before
    assert [[], [[0, 0], [0, 1], [0, 2]]] == first
    reason = (
        "batching off: output 'hits' has shape [3, 2] for 2 rows: its first dimension is no batch "
    )
    assert (f"{reason}dimension", f"{reason}dimension", 1) == after
    assert [[0, 1], [0, 2]] == lone


async def test_warming_finds_out_before_anybody_calls(tmp_path: Path, front: str) -> None:
    """Made-up rows of zeros have no hits; so rows that fit by chance are never shared out."""
    async with open_batched(tmp_path, front, detector(), warm_up=WarmUp()) as replica:
        reason, _, count = await notes_of(replica)
        rows = ([0, 0, 0], [9, 9, 0]) * 4
        found = await asyncio.gather(*(hits_of(replica, row) for row in rows))
    assert "batching off: output 'hits' has shape [0, 2] for 1 rows" in reason
    assert 1 == count
    assert [[], [[0, 0], [0, 1]]] * 4 == found


@pytest.mark.parametrize("rows", [[[0, 9, 9]], [[0, 0, 0]], [[9, 9, 9], [0, 0, 0], [9, 0, 0]]])
async def test_filled_up_batches_give_nothing_of_what_was_filled_in(
    tmp_path: Path, front: str, rows: list[list[int]]
) -> None:
    """A detector would find the last row's hits again and again: it is run as it was sent instead."""
    async with open_batched(tmp_path, front, detector(), 1, allowed=(4, 8)) as replica:
        found = array_of(await replica.stub.ModelInfer(asking(rows))).tolist()
        reason, _, count = await notes_of(replica)
    assert np.argwhere(np.array(rows) > 5).tolist() == found
    assert reason.startswith("batching off: output 'hits'")
    assert 1 == count


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
async def test_requests_without_elements_share_a_batch(
    tmp_path: Path, front: str, shape: tuple[int, ...]
) -> None:
    """A dimension of no size is a dimension."""
    async with open_batched(tmp_path, front, identity(*[-1] * len(shape)), 3) as replica:
        await show_rows(replica, request("m", np.zeros((3, *shape), np.float32)))
        messages = [request("m", np.zeros((rows, *shape), np.float32)) for rows in (1, 2)]
        answers = await asyncio.gather(*map(replica.stub.ModelInfer, messages))
        none = await replica.stub.ModelInfer(request("m", np.zeros((0, *shape), np.float32)))
        executions = replica.ingress.book.of("m", 1).totals().executions
    assert [(1, *shape), (2, *shape)] == [array_of(answer).shape for answer in answers]
    assert (0, *shape) == array_of(none).shape
    assert ALONE_FIRST + 2 == executions


async def test_one_request_that_no_memory_is_there_for_fails_alone(
    tmp_path: Path, front: str
) -> None:
    """It is told that, and the one beside it gets its answer."""
    async with open_batched(tmp_path, front, filling()) as replica:
        await show_rows(replica, asking([[3]] * 2, "INT64"))
        good = replica.stub.ModelInfer(asking([[3]], "INT64"))
        bad = replica.stub.ModelInfer(asking([[2**46]], "INT64"))
        code, reason, text = await failure_of(bad)
        assert [[3]] == array_of(await good).tolist()
    assert ("RESOURCE_EXHAUSTED", "RUN_OUT_OF_MEMORY") == (code, reason)
    assert "send less at a time" in text


async def test_an_answer_over_the_limit_is_not_made(tmp_path: Path, front: str) -> None:
    """On every way in, for the request that would have it, and not for the one in its batch."""
    rows, row = [[1.0]] * 5, [[2.0]]
    async with open_batched(tmp_path, front, widening(), 6, max_message_bytes=4000) as replica:
        for _ in range(ALONE_FIRST // 2):
            await asyncio.gather(*[replica.stub.ModelInfer(asking(rows[:3])) for _ in range(2)])
        wanted = asking(rows)
        wanted.outputs.add(name="y").parameters["classification"].int64_param = 250
        refusals = [
            await failure_of(beside(replica, row, replica.stub.ModelInfer(asking(rows)))),
            await failure_of(beside(replica, row, replica.stub.ModelInfer(wanted))),
            await beside(replica, row, stream_failure(replica, asking(rows))),
            await beside(replica, row, rest_failure(replica, binary=False)),
            await beside(replica, row, rest_failure(replica, binary=True)),
        ]
        errors = replica.ingress.book.of("m", 1).totals().errors
    for _, reason, text in refusals:
        assert "ANSWER_TOO_LARGE" == reason
        assert "4000 (max_message_bytes" in text
    assert {"ANSWER_TOO_LARGE": len(refusals)} == errors


async def beside(replica: GrpcReplica, row: Any, call: Awaitable[Any]) -> Any:
    """What a call gives that shares its batch with a request of one row, which must be answered."""
    other = replica.stub.ModelInfer(asking(row))
    try:
        return await call
    finally:
        np.testing.assert_array_equal(np.full((1, 250), row[0]), array_of(await other))


async def stream_failure(replica: GrpcReplica, large: Any) -> tuple[str, str, str]:
    """What a stream says of a request."""

    async def requests() -> AsyncIterator[Any]:
        yield large

    (answer,) = [answer async for answer in replica.stub.ModelStreamInfer(requests())]
    return "", "ANSWER_TOO_LARGE", answer.error_message


async def rest_failure(replica: GrpcReplica, *, binary: bool) -> tuple[str, str, str]:
    """What REST says of a request with a large answer."""
    body = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [5, 1], "data": [1.125] * 5}],
        "parameters": {"binary_data_output": binary},
    }
    url = f"http://{replica.http_address}/v2/models/m/infer"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        answer = await response.json()
        assert 429 == response.status
    return "", answer["reason"], answer["error"]
