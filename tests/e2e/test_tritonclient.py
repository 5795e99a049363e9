"""The unmodified `tritonclient`, all three of it, against the running suite with both fronts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

from tests.e2e.models import scaling
from tests.e2e.served import FRONTS
from tests.e2e.traffic import client_of, push
from tests.rpc.test_endless_runs import counting
from tests.suite import RunningSuite, running_suite

pytestmark = pytest.mark.e2e

DTYPES = {
    "BOOL": (np.dtype(np.bool_), TensorProto.BOOL),
    "UINT8": (np.dtype(np.uint8), TensorProto.UINT8),
    "UINT16": (np.dtype(np.uint16), TensorProto.UINT16),
    "UINT32": (np.dtype(np.uint32), TensorProto.UINT32),
    "UINT64": (np.dtype(np.uint64), TensorProto.UINT64),
    "INT8": (np.dtype(np.int8), TensorProto.INT8),
    "INT16": (np.dtype(np.int16), TensorProto.INT16),
    "INT32": (np.dtype(np.int32), TensorProto.INT32),
    "INT64": (np.dtype(np.int64), TensorProto.INT64),
    "FP16": (np.dtype(np.float16), TensorProto.FLOAT16),
    "FP32": (np.dtype(np.float32), TensorProto.FLOAT),
    "FP64": (np.dtype(np.float64), TensorProto.DOUBLE),
    "BF16": (np.dtype(ml_dtypes.bfloat16), TensorProto.BFLOAT16),
    "BYTES": (np.dtype(np.object_), TensorProto.STRING),
}


NUMBERS = [name for name in DTYPES if name != "BYTES"]
WITHOUT_BF16 = [name for name in DTYPES if name != "BF16"]
"""ONNX Runtime runs strings and BF16 in ways that exclude each other, so they are in two models."""
MODELS = {"numbers": NUMBERS, "texts": WITHOUT_BF16}


def identities(names: list[str]) -> bytes:
    """A model with an identity for each datatype: `in_FP32` [batch, 3] to `out_FP32`, and so on."""
    nodes = [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in names]
    graph = helper.make_graph(
        nodes,
        "identities",
        [
            helper.make_tensor_value_info(f"in_{name}", DTYPES[name][1], ["batch", 3])
            for name in names
        ],
        [
            helper.make_tensor_value_info(f"out_{name}", DTYPES[name][1], ["batch", 3])
            for name in names
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def sample(name: str) -> Any:
    """Two rows of a datatype."""
    dtype = DTYPES[name][0]
    if name == "BYTES":
        return np.array([[b"a", b"", "ü".encode()], [b"x" * 300, b"b", b"c"]], dtype=np.object_)
    return np.array([[0, 1, 2], [3, 1, 0]]).astype(dtype)


@pytest.fixture(scope="module", params=FRONTS)
def suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSuite]:
    """A suite with this option, two versions of `m`, and the identities."""
    folder: Path = tmp_path_factory.mktemp("suite")
    context = running_suite(folder, extra=[request.param])
    with asyncio.Runner() as runner:
        running = runner.run(context.__aenter__())
        runner.run(_fill(running))
        yield running
        runner.run(context.__aexit__(None, None, None))


async def _fill(suite: RunningSuite) -> None:
    async with client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        await push(client, "m", scaling(3.0))
        await client.alias("m", "next", 2)
        for model, names in MODELS.items():
            await push(client, model, identities(names))
        await client.push("four", scaling(4.0), config={"batching": {"maxBatchSize": 4}})
        await client.wait_until_ready("four", 1, timeout_seconds=60)
        await push(client, "counting", counting().graph.SerializeToString())


def inputs_of(client: Any, names: list[str]) -> list[Any]:
    """InferInputs with the samples of these datatypes."""
    inputs = []
    for name in names:
        item = client.InferInput(f"in_{name}", [2, 3], name)
        item.set_data_from_numpy(sample(name))
        inputs.append(item)
    return inputs


def x_of(client: Any, shape: tuple[int, ...] = (1, 2)) -> list[Any]:
    """The input of `m`, all ones."""
    item = client.InferInput("x", list(shape), "FP32")
    item.set_data_from_numpy(np.ones(shape, np.float32))
    return [item]


def check_identities(result: Any, names: list[str]) -> None:
    """Every output equals its input."""
    for name in names:
        np.testing.assert_array_equal(result.as_numpy(f"out_{name}"), sample(name))


def test_grpc_carries_every_datatype(suite: RunningSuite) -> None:
    """The synchronous gRPC client gets back what it sent, in all 14 datatypes."""
    with tritonclient.grpc.InferenceServerClient(suite.inference) as client:
        for model, names in MODELS.items():
            check_identities(client.infer(model, inputs_of(tritonclient.grpc, names)), names)


async def test_grpc_aio_carries_every_datatype(suite: RunningSuite) -> None:
    """The asyncio gRPC client does, too."""
    async with tritonclient.grpc.aio.InferenceServerClient(suite.inference) as client:
        for model, names in MODELS.items():
            inputs = inputs_of(tritonclient.grpc.aio, names)
            check_identities(await client.infer(model, inputs), names)


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_http_carries_every_datatype(suite: RunningSuite, compression: str | None) -> None:
    """The HTTP client does, too, with binary data and each compression."""
    with tritonclient.http.InferenceServerClient(suite.rest) as client:
        for model, names in MODELS.items():
            result = client.infer(
                model,
                inputs_of(tritonclient.http, names),
                request_compression_algorithm=compression,
                response_compression_algorithm=compression,
            )
            check_identities(result, names)


def clients(suite: RunningSuite) -> list[tuple[Any, Any]]:
    """Both synchronous clients with their modules."""
    return [
        (tritonclient.grpc, tritonclient.grpc.InferenceServerClient(suite.inference)),
        (tritonclient.http, tritonclient.http.InferenceServerClient(suite.rest)),
    ]


def test_names_lead_to_versions(suite: RunningSuite) -> None:
    """Route, number and alias: the answer names the version that ran, and why."""
    asked = [("m", ""), ("m", "2"), ("m@next", ""), ("m", "next")]
    expected = [
        ("1", "stable", 2.0),
        ("2", "pinned", 3.0),
        ("2", "alias", 3.0),
        ("2", "alias", 3.0),
    ]
    for module, client in clients(suite):
        results = [
            client.infer(name, x_of(module), number, request_id="r") for name, number in asked
        ]
        client.close()

        assert expected == [_told(result) for result in results]


def _told(result: Any) -> tuple[str, str, float]:
    response = _plain(result.get_response())
    assert response["id"] == "r"
    route = response["parameters"]["headrace.route"]
    route = route["string_param"] if isinstance(route, dict) else route
    return response["model_version"], route, float(result.as_numpy("y")[0, 0])


def test_what_is_said_of_a_model(suite: RunningSuite) -> None:
    """Metadata has the batch dimension, the config has not; both clients agree."""
    for _, client in clients(suite):
        metadata = _plain(client.get_model_metadata("m"))
        config = _plain(client.get_model_config("m"))
        config = config.get("config", config)
        index = _plain(client.get_model_repository_index())
        index = index["models"] if isinstance(index, dict) else index
        ready = client.is_server_live() and client.is_server_ready() and client.is_model_ready("m")
        server = _plain(client.get_server_metadata())
        client.close()

        assert ready
        assert server["name"] == "headrace"
        assert metadata["platform"] == "onnxruntime_onnx"
        assert sorted(metadata["versions"]) == ["1", "2"]
        assert [int(size) for size in metadata["inputs"][0]["shape"]] == [-1, 2]
        assert [int(size) for size in config["input"][0]["dims"]] == [2]
        assert int(config["max_batch_size"]) > 1
        states = {(entry["name"], entry["version"]): entry["state"] for entry in index}
        assert states["m", "1"] == states["m", "2"] == states["texts", "1"] == "READY"


def _plain(answer: Any) -> Any:
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import Message

    if isinstance(answer, Message):
        return MessageToDict(answer, preserving_proto_field_name=True)
    return answer


def test_statistics_count_exactly(suite: RunningSuite) -> None:
    """Ten requests of three rows are ten successes and thirty rows, on either client."""
    for module, client in clients(suite):
        before = _counts(client)
        for _ in range(10):
            client.infer("m", x_of(module, (3, 2)), "1")
        after = _counts(client)
        client.close()

        assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [
            10,
            30,
            10,
        ]


def _counts(client: Any) -> list[int]:
    statistics = _plain(client.get_inference_statistics("m", "1"))["model_stats"][0]
    success = statistics.get("inference_stats", {}).get("success", {})
    return [
        int(success.get("count", 0)),
        int(statistics.get("inference_count", 0)),
        int(statistics.get("execution_count", 0)),
    ]


@pytest.mark.parametrize(
    ("name", "version", "shape", "message"),
    [
        ("nope", "", (1, 2), "Request for unknown model: 'nope' is not found"),
        ("m", "9", (1, 2), "version 9 is not found"),
        ("m", "", (1, 3), "unexpected shape for input 'x'"),
        ("four", "", (5, 2), "batch-size must be <= 4"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    suite: RunningSuite, name: str, version: str, shape: tuple[int, ...], message: str
) -> None:
    """The caller's mistakes come back as such on both wires, and the next good request is served."""
    for module, client in clients(suite):
        with pytest.raises(InferenceServerException, match=message):
            client.infer(name, x_of(module, shape), version)
        assert client.infer("m", x_of(module), "1").as_numpy("y").tolist() == [[2.0, 2.0]]
        client.close()


def test_more_rows_than_anybody_bounded(suite: RunningSuite) -> None:
    """Where the registry proposed the batch size, a request of more rows is answered, on both wires."""
    for module, client in clients(suite):
        result = client.infer("m", x_of(module, (500, 2)), "1")
        client.close()

        assert [[2.0, 2.0]] * 500 == result.as_numpy("y").tolist()


def test_requested_outputs_only(suite: RunningSuite) -> None:
    """Only the outputs asked for come back, in the order asked."""
    wanted = ["out_INT64", "out_FP32"]
    for module, client in clients(suite):
        outputs = [module.InferRequestedOutput(name) for name in wanted]
        result = client.infer("numbers", inputs_of(module, NUMBERS), outputs=outputs)
        names = [output["name"] for output in _plain(result.get_response())["outputs"]]
        client.close()

        assert names == wanted


def test_a_deadline_that_passes_is_the_client_s_own_error(suite: RunningSuite) -> None:
    """A graph that would run for years ends at the caller's deadline, and the next one is served."""

    def turns(count: int) -> list[Any]:
        item = tritonclient.grpc.InferInput("x", [1], "INT64")
        item.set_data_from_numpy(np.array([count]))
        return [item]

    with tritonclient.grpc.InferenceServerClient(suite.inference) as client:
        with pytest.raises(InferenceServerException, match="DEADLINE_EXCEEDED"):
            client.infer("counting", turns(2**62), client_timeout=0.3)
        assert client.infer("counting", turns(3), client_timeout=20).as_numpy("y").tolist() == [3]


def test_methods_that_are_not_offered_say_so(suite: RunningSuite) -> None:
    """Loading by hand is refused with what to do instead."""
    with (
        tritonclient.grpc.InferenceServerClient(suite.inference) as client,
        pytest.raises(InferenceServerException, match="headrace push"),
    ):
        client.load_model("m")
