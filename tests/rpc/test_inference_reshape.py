"""Models whose callers see other shapes than the graph has, on every way in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from google.protobuf import json_format
from onnx import TensorProto, helper

from headrace.inference import grpc_service_pb2 as pb
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.registry_fixtures import graph_file

X = np.arange(12, dtype=np.float32)


def doubling(shape: Sequence[int | str] | None, out: Sequence[int | str] | None) -> bytes:
    """y = x + x."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
    )
    return graph_file(graph)


def tensor(name: str, dims: Sequence[int], reshape: Sequence[int] | None = None) -> dict[str, Any]:
    """A tensor of a config."""
    spec: dict[str, Any] = {"name": name, "data_type": "TYPE_FP32", "dims": list(dims)}
    return spec if reshape is None else spec | {"reshape": {"shape": list(reshape)}}


MODELS: dict[str, tuple[bytes, dict[str, Any]]] = {
    # Triton's own tests have this one: rows of one number, which callers see as [1].
    "numbers": (
        doubling(["n"], ["n"]),
        {"max_batch_size": 8, "input": [tensor("x", [1], [])], "output": [tensor("y", [1], [])]},
    ),
    "folded": (
        doubling(["n", 4], ["n", 4]),
        {
            "max_batch_size": 8,
            "input": [tensor("x", [2, 2], [4])],
            "output": [tensor("y", [4, 1], [4])],
        },
    ),
    "any-size": (
        doubling(["n", "m"], ["n", "m"]),
        {
            "max_batch_size": 8,
            "input": [tensor("x", [-1, 1], [-1])],
            "output": [tensor("y", [1, -1], [-1])],
        },
    ),
    "scalar": (
        doubling([], []),
        {"max_batch_size": 0, "input": [tensor("x", [1], [])], "output": [tensor("y", [1], [])]},
    ),
    "unranked": (
        doubling(None, None),
        {"max_batch_size": 8, "input": [tensor("x", [4])], "output": [tensor("y", [4])]},
    ),
}

CALLS: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
    ("numbers", (3, 1), (3, 1)),
    ("numbers", (0, 1), (0, 1)),
    ("folded", (3, 2, 2), (3, 4, 1)),
    ("any-size", (2, 5, 1), (2, 1, 5)),
    ("any-size", (2, 0, 1), (2, 1, 0)),
    ("scalar", (1,), (1,)),
    ("unranked", (3, 4), (3, 4)),
]


async def _load(replica: GrpcReplica, name: str) -> None:
    graph, config = MODELS[name]
    message = pb.RepositoryModelLoadRequest(model_name=name)
    message.parameters["config"].string_param = json.dumps(config)
    message.parameters["file:1/model.onnx"].bytes_param = graph
    await replica.stub.RepositoryModelLoad(message)


def _values(shape: tuple[int, ...]) -> Any:
    return np.resize(X, shape) if 0 not in shape else np.zeros(shape, np.float32)


def _read(answer: Any) -> Any:
    raw = np.frombuffer(answer.raw_output_contents[0], np.float32)
    return raw.reshape(answer.outputs[0].shape)


async def _streamed(replica: GrpcReplica, message: Any) -> Any:
    call = replica.stub.ModelStreamInfer()
    await call.write(message)
    answer = await call.read()
    await call.done_writing()
    assert "" == answer.error_message
    return _read(answer.infer_response)


async def _over_rest(replica: GrpcReplica, name: str, values: Any) -> Any:
    body = {
        "inputs": [
            {
                "name": "x",
                "datatype": "FP32",
                "shape": values.shape,
                "data": values.ravel().tolist(),
            }
        ]
    }
    async with aiohttp.ClientSession() as session:
        url = f"http://{replica.http_address}/v2/models/{name}/infer"
        answer = await (await session.post(url, json=body)).json()
    (output,) = answer["outputs"]
    return np.array(output["data"], np.float32).reshape(output["shape"])


@pytest.mark.parametrize("front", FRONTS)
async def test_callers_send_and_get_the_declared_shapes(tmp_path: Path, front: str) -> None:
    """Over gRPC, in a stream and over REST; requests that share a batch each get their own rows."""
    async with open_grpc_replica(tmp_path, model_control="explicit", front=front) as replica:
        for name in MODELS:
            await _load(replica, name)
        for name, shape, expected in CALLS:
            values = _values(shape)
            message = request(name, values)
            answers = [
                _read(await replica.stub.ModelInfer(message)),
                await _streamed(replica, message),
                await _over_rest(replica, name, values),
            ]
            for answer in answers:
                np.testing.assert_array_equal((2 * values).reshape(expected), answer)
        many = [np.full((1 + place % 3, 2, 2), place, np.float32) for place in range(60)]
        together = await asyncio.gather(
            *(replica.stub.ModelInfer(request("folded", values)) for values in many)
        )
    for values, answer in zip(many, together, strict=True):
        np.testing.assert_array_equal((2 * values).reshape(-1, 4, 1), _read(answer))


async def test_metadata_and_config_show_what_callers_see(tmp_path: Path) -> None:
    """The graph's shapes stand in the config's reshape, and what is read can be loaded again."""
    async with open_grpc_replica(tmp_path, model_control="explicit") as replica:
        for name in MODELS:
            await _load(replica, name)
        shapes = {}
        for name in MODELS:
            found = await replica.stub.ModelMetadata(pb.ModelMetadataRequest(name=name))
            shapes[name] = (list(found.inputs[0].shape), list(found.outputs[0].shape))
        shown = (await replica.stub.ModelConfig(pb.ModelConfigRequest(name="folded"))).config
        again = pb.RepositoryModelLoadRequest(model_name="folded")
        again.parameters["config"].string_param = json_format.MessageToJson(shown)
        await replica.stub.RepositoryModelLoad(again)
        reloaded = (await replica.stub.ModelConfig(pb.ModelConfigRequest(name="folded"))).config
        refused = [
            await failure_of(replica.stub.ModelInfer(request(name, np.zeros(shape, np.float32))))
            for name, shape in (("folded", (1, 4)), ("numbers", (3,)), ("unranked", (1, 5)))
        ]

    assert {
        "numbers": ([-1, 1], [-1, 1]),
        "folded": ([-1, 2, 2], [-1, 4, 1]),
        "any-size": ([-1, -1, 1], [-1, 1, -1]),
        "scalar": ([1], [1]),
        "unranked": ([-1, 4], [-1, 4]),
    } == shapes
    assert ([2, 2], [4]) == (list(shown.input[0].dims), list(shown.input[0].reshape.shape))
    assert ([4, 1], [4]) == (list(shown.output[0].dims), list(shown.output[0].reshape.shape))
    assert shown == reloaded
    assert ["INVALID_ARGUMENT"] * 3 == [each[0] for each in refused]


WRONG = [
    ({"input": [tensor("x", [3], [4])]}, "differ in the number of their elements"),
    ({"input": [tensor("x", [5], [5])]}, "input 'x' has the shape [-1, 4], not [-1, 5]"),
    ({"output": [tensor("y", [-1], [4])]}, "differ in the number of their elements"),
]


async def test_reshapes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Where the number of elements would change, or the graph has another shape."""
    graph, config = MODELS["folded"]
    async with open_grpc_replica(tmp_path, model_control="explicit") as replica:
        failures = []
        for changes, _ in WRONG:
            message = pb.RepositoryModelLoadRequest(model_name="folded")
            message.parameters["config"].string_param = json.dumps(config | changes)
            message.parameters["file:1/model.onnx"].bytes_param = graph
            failures.append(await failure_of(replica.stub.RepositoryModelLoad(message)))
    for failure, (_, said) in zip(failures, WRONG, strict=True):
        assert "INVALID_ARGUMENT" == failure[0]
        assert said in failure[2]
