"""What else the unmodified `tritonclient` does: callbacks, futures, streams, texts, refusals."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.grpc.auth
import tritonclient.http
import tritonclient.http.aio
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

from tests.e2e.models import scaling
from tests.e2e.served import Addresses, serving

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

CALLS = 100
PATIENCE_SECONDS = 30
LONG_TURNS = 20_000
"""Turns of the slow model's loop that take a second or so: longer than any client here waits."""


@pytest.fixture(scope="module", params=["native", "grpcio"])
def suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """A suite with this front that serves a model of numbers, one of texts, and a slow one."""
    folder: Path = tmp_path_factory.mktemp("suite")
    models = {"m": scaling(2.0), "texts": texts(), "slow": slow()}
    with serving(folder, models, [f"--front={request.param}"]) as addresses:
        yield addresses


def texts() -> bytes:
    """BYTES x [batch, n] to y, the same."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return graph(
        [node], ("x", TensorProto.STRING, ["b", "n"]), ("y", TensorProto.STRING, ["b", "n"])
    )


def slow() -> bytes:
    """INT64 turns [1] to FP32 y [128, 128]: so many products of matrices, one after the other."""
    matrix = [128, 128]
    constants = [
        helper.make_tensor("eye", TensorProto.FLOAT, matrix, np.eye(128, dtype=np.float32).ravel()),
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
    ]
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "eye"], ["after"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, matrix),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, matrix),
        ],
    )
    node = helper.make_node("Loop", ["turns", "yes", "eye"], ["y"], body=body)
    return graph(
        [node], ("turns", TensorProto.INT64, [1]), ("y", TensorProto.FLOAT, matrix), constants
    )


def graph(nodes: list[Any], x: Any, y: Any, constants: Any = ()) -> bytes:
    """A checked model with one input and one output."""
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(*x)],
        [helper.make_tensor_value_info(*y)],
        constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def grpc_client(suite: Addresses) -> Iterator[Any]:
    """The synchronous gRPC client."""
    with tritonclient.grpc.InferenceServerClient(suite.grpc) as client:
        yield client


@pytest.fixture
def http_client(suite: Addresses) -> Iterator[Any]:
    """The synchronous HTTP client, with room for four calls at a time."""
    with tritonclient.http.InferenceServerClient(suite.http, concurrency=4) as client:
        yield client


def number(module: Any, value: float) -> list[Any]:
    """The input of `m`: one row of this value."""
    item = module.InferInput("x", [1, 2], "FP32")
    item.set_data_from_numpy(np.full((1, 2), value, np.float32))
    return [item]


def turns(module: Any, count: int) -> list[Any]:
    """The input of `slow`."""
    item = module.InferInput("turns", [1], "INT64")
    item.set_data_from_numpy(np.array([count]))
    return [item]


def doubled(result: Any) -> float:
    """The first value of the answer of `m`."""
    return float(result.as_numpy("y")[0, 0])


def test_callbacks_get_the_answers_to_their_requests(grpc_client: Any) -> None:
    """A hundred calls at once: each callback gets the answer with its id and its value."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    for value in range(CALLS):
        grpc_client.async_infer(
            "m",
            number(tritonclient.grpc, value),
            callback=lambda result, error: answers.put((result, error)),
            request_id=f"call-{value}",
        )
    got = [answers.get(timeout=PATIENCE_SECONDS) for _ in range(CALLS)]

    assert [None] * CALLS == [error for _, error in got]
    expected = {f"call-{value}": 2.0 * value for value in range(CALLS)}
    assert expected == {result.get_response().id: doubled(result) for result, _ in got}


def test_a_callback_gets_the_error(grpc_client: Any) -> None:
    """A call that fails reaches its callback as an error with its status."""
    errors: queue.Queue[Any] = queue.Queue()
    grpc_client.async_infer(
        "nope", number(tritonclient.grpc, 1), callback=lambda result, error: errors.put(error)
    )
    error = errors.get(timeout=PATIENCE_SECONDS)

    assert "StatusCode.NOT_FOUND" == error.status()
    assert "'nope' is not found" in error.message()


def test_a_call_is_cancelled(grpc_client: Any) -> None:
    """A cancelled call ends in CANCELLED while it runs, and the next ones are served."""
    answers: queue.Queue[Any] = queue.Queue()
    call = grpc_client.async_infer(
        "slow",
        turns(tritonclient.grpc, LONG_TURNS),
        callback=lambda result, error: answers.put(error),
    )
    call.cancel()

    assert "StatusCode.CANCELLED" == answers.get(timeout=PATIENCE_SECONDS).status()
    assert (128, 128) == grpc_client.infer("slow", turns(tritonclient.grpc, 1)).as_numpy("y").shape
    assert 6.0 == doubled(grpc_client.infer("m", number(tritonclient.grpc, 3)))


def test_a_client_s_timeout_ends_a_running_call(grpc_client: Any) -> None:
    """A call that runs longer than the client waits ends in DEADLINE_EXCEEDED, in time."""
    started = time.monotonic()
    with pytest.raises(InferenceServerException) as caught:
        grpc_client.infer("slow", turns(tritonclient.grpc, LONG_TURNS), client_timeout=0.1)
    waited = time.monotonic() - started

    assert "StatusCode.DEADLINE_EXCEEDED" == caught.value.status()
    assert 0.1 <= waited < 5
    assert 6.0 == doubled(grpc_client.infer("m", number(tritonclient.grpc, 3)))


def test_a_stream_answers_in_order(grpc_client: Any) -> None:
    """Requests of one stream come back in their order, with their ids, and an error in between."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    grpc_client.start_stream(callback=lambda result, error: answers.put((result, error)))
    for value in range(CALLS):
        name = "nope" if value == 50 else "m"
        grpc_client.async_stream_infer(
            name, number(tritonclient.grpc, value), request_id=str(value)
        )
    got = [answers.get(timeout=PATIENCE_SECONDS) for _ in range(CALLS)]
    grpc_client.stop_stream()

    _, error = got.pop(50)
    assert "'nope' is not found" in error.message()
    expected = [(str(value), 2.0 * value) for value in range(CALLS) if value != 50]
    assert expected == [(result.get_response().id, doubled(result)) for result, _ in got]
    assert {True} == {
        result.get_response().parameters["triton_final_response"].bool_param for result, _ in got
    }


def test_a_stream_is_cancelled(grpc_client: Any) -> None:
    """A stream that is stopped with requests in flight ends at once, and another one is served."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    grpc_client.start_stream(callback=lambda result, error: answers.put((result, error)))
    grpc_client.async_stream_infer("slow", turns(tritonclient.grpc, LONG_TURNS))
    grpc_client.stop_stream(cancel_requests=True)
    _, error = answers.get(timeout=PATIENCE_SECONDS)
    assert "StatusCode.CANCELLED" == error.status()

    grpc_client.start_stream(callback=lambda result, error: answers.put((result, error)))
    grpc_client.async_stream_infer("m", number(tritonclient.grpc, 4))
    result, error = answers.get(timeout=PATIENCE_SECONDS)
    grpc_client.stop_stream()
    assert (None, 8.0) == (error, doubled(result))


def test_a_stream_carries_sequences(grpc_client: Any) -> None:
    """A client that numbers its sequences is served, although no model here keeps a state."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    grpc_client.start_stream(callback=lambda result, error: answers.put((result, error)))
    for value in range(3):
        grpc_client.async_stream_infer(
            "m",
            number(tritonclient.grpc, value),
            sequence_id=7,
            sequence_start=value == 0,
            sequence_end=value == 2,
        )
    got = [answers.get(timeout=PATIENCE_SECONDS) for _ in range(3)]
    grpc_client.stop_stream()

    assert [(None, 0.0), (None, 2.0), (None, 4.0)] == [(e, doubled(r)) for r, e in got]


async def test_asyncio_calls_side_by_side(suite: Addresses) -> None:
    """The asyncio clients of both wires have many calls in flight; each gets its own answer."""
    modules = [
        (tritonclient.grpc.aio, tritonclient.grpc.aio.InferenceServerClient(suite.grpc)),
        (tritonclient.http.aio, tritonclient.http.aio.InferenceServerClient(suite.http)),
    ]
    for module, client in modules:
        async with client:
            calls = [
                client.infer("m", number(module, value), request_id=str(value))
                for value in range(CALLS)
            ]
            results = await asyncio.gather(*calls)

        assert [2.0 * value for value in range(CALLS)] == [doubled(result) for result in results]


async def test_an_asyncio_call_is_cancelled(suite: Addresses) -> None:
    """A task that is cancelled takes its call with it, and the next one is served."""
    async with tritonclient.grpc.aio.InferenceServerClient(suite.grpc) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.infer("slow", turns(tritonclient.grpc.aio, LONG_TURNS))

        result = await client.infer("m", number(tritonclient.grpc.aio, 3))
        assert 6.0 == doubled(result)


async def test_an_asyncio_stream(suite: Addresses) -> None:
    """The asyncio client's stream takes an iterator of requests and gives one of answers."""

    async def requests() -> AsyncIterator[dict[str, Any]]:
        for value in range(10):
            inputs = number(tritonclient.grpc.aio, value)
            yield {"model_name": "m", "inputs": inputs, "request_id": str(value)}

    async with tritonclient.grpc.aio.InferenceServerClient(suite.grpc) as client:
        got = [answer async for answer in client.stream_infer(requests())]

    assert [(None, 2.0 * value) for value in range(10)] == [
        (error, doubled(result)) for result, error in got
    ]


def test_http_futures(http_client: Any) -> None:
    """Calls in the background give their answers, and their errors, when they are asked."""
    calls = [
        http_client.async_infer("m", number(tritonclient.http, value), request_id=str(value))
        for value in range(20)
    ]
    failing = http_client.async_infer("nope", number(tritonclient.http, 1))

    results = [call.get_result() for call in calls]
    expected = [(str(value), 2.0 * value) for value in range(20)]
    assert expected == [(result.get_response()["id"], doubled(result)) for result in results]
    with pytest.raises(InferenceServerException, match="'nope' is not found"):
        failing.get_result()


def test_bodies_made_and_read_without_a_connection(suite: Addresses) -> None:
    """A body that the client only builds is served by anything that posts it, and read back."""
    import http.client

    kind = tritonclient.http.InferenceServerClient
    body, json_size = kind.generate_request_body(number(tritonclient.http, 5))
    connection = http.client.HTTPConnection(suite.http, timeout=PATIENCE_SECONDS)
    headers = {"Inference-Header-Content-Length": str(json_size)}
    connection.request("POST", "/v2/models/m/infer", body, headers)
    answer = connection.getresponse()
    header = answer.getheader("Inference-Header-Content-Length")
    result = kind.parse_response_body(answer.read(), header_length=header and int(header))
    connection.close()

    assert 10.0 == doubled(result)


@pytest.mark.parametrize("datatype", [np.object_, "S"])
def test_texts(grpc_client: Any, http_client: Any, datatype: Any) -> None:
    """Texts come back as they went, on both wires: empty, long, of several bytes a letter."""
    values = [b"a", b"", "Mühlbach".encode(), b"x" * 5000]
    sent = np.array([values], dtype=datatype)
    for module, client in ((tritonclient.grpc, grpc_client), (tritonclient.http, http_client)):
        item = module.InferInput("x", [1, 4], "BYTES")
        item.set_data_from_numpy(sent)
        assert values == client.infer("texts", [item]).as_numpy("y")[0].tolist()


def test_texts_that_are_no_utf_8(grpc_client: Any, http_client: Any) -> None:
    """ONNX has texts, not bytes: others are refused as the caller's mistake, on both wires."""
    for module, client in ((tritonclient.grpc, grpc_client), (tritonclient.http, http_client)):
        item = module.InferInput("x", [1, 1], "BYTES")
        item.set_data_from_numpy(np.array([[b"\xff\xfe"]], dtype=np.object_))
        with pytest.raises(InferenceServerException, match="UTF-8") as caught:
            client.infer("texts", [item])
        assert caught.value.status() in ("StatusCode.INVALID_ARGUMENT", "400")


def test_gzip(grpc_client: Any) -> None:
    """Packed requests are taken, by either front."""
    inputs = number(tritonclient.grpc, 3)
    assert 6.0 == doubled(grpc_client.infer("m", inputs, compression_algorithm="gzip"))


def test_deflate(grpc_client: Any, request: pytest.FixtureRequest) -> None:
    """The grpcio front takes deflate, too; the native front refuses it by gRPC's rule, with the reason."""
    inputs = number(tritonclient.grpc, 3)
    if "native" in request.node.name:
        with pytest.raises(InferenceServerException, match="deflate") as caught:
            grpc_client.infer("m", inputs, compression_algorithm="deflate")
        assert "StatusCode.UNIMPLEMENTED" == caught.value.status()
    else:
        assert 6.0 == doubled(grpc_client.infer("m", inputs, compression_algorithm="deflate"))


def test_what_a_request_may_say_besides(grpc_client: Any, http_client: Any) -> None:
    """Priority, timeout, parameters and headers of one's own do not get in the way."""
    for module, client in ((tritonclient.grpc, grpc_client), (tritonclient.http, http_client)):
        result = client.infer(
            "m",
            number(module, 3),
            priority=1,
            timeout=1_000_000,
            parameters={"tenant": "mill", "weight": 3, "dry": False},
            headers={"x-request-id": "r-1"},
        )
        assert 6.0 == doubled(result)


def test_reserved_parameters_are_the_client_s_own_refusal(grpc_client: Any) -> None:
    """The client itself keeps reserved names out of the parameters of one's own."""
    with pytest.raises(InferenceServerException, match="reserved"):
        grpc_client.infer("m", number(tritonclient.grpc, 3), parameters={"priority": 1})


def test_a_client_with_credentials(suite: Addresses) -> None:
    """A client that sends credentials is served; nothing here asks for them."""
    with tritonclient.grpc.InferenceServerClient(suite.grpc) as client:
        client.register_plugin(tritonclient.grpc.auth.BasicAuth("miller", "secret"))
        assert 6.0 == doubled(client.infer("m", number(tritonclient.grpc, 3)))


def test_keepalive(suite: Addresses) -> None:
    """A client that pings its connection is served."""
    options = tritonclient.grpc.KeepAliveOptions(
        keepalive_time_ms=1000, keepalive_permit_without_calls=True
    )
    with tritonclient.grpc.InferenceServerClient(suite.grpc, keepalive_options=options) as client:
        assert 6.0 == doubled(client.infer("m", number(tritonclient.grpc, 3)))


def test_control_is_refused_with_the_remedy(grpc_client: Any, http_client: Any) -> None:
    """Loading and unloading by hand names what to do instead, on both wires."""
    for client in (grpc_client, http_client):
        for control in (client.load_model, client.unload_model):
            with pytest.raises(InferenceServerException, match="headrace"):
                control("m")
        assert client.is_model_ready("m")


def test_health_of_what_is_unknown(grpc_client: Any, http_client: Any) -> None:
    """The server is live and ready; a model or version that is not there is not."""
    for client in (grpc_client, http_client):
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("m", "1")
        assert not _ready(client, "m", "7")
        assert not _ready(client, "nope", "")


def _ready(client: Any, name: str, version: str) -> bool:
    """Over gRPC the client raises what the server says of an unknown name."""
    try:
        return bool(client.is_model_ready(name, version))
    except InferenceServerException as error:
        return bool(error.status() != "StatusCode.NOT_FOUND")


def test_answers_as_json(grpc_client: Any) -> None:
    """What the gRPC client can turn into JSON it turns."""
    grpc_client.infer("m", number(tritonclient.grpc, 3), "1")
    metadata = grpc_client.get_model_metadata("m", as_json=True)
    config = grpc_client.get_model_config("m", as_json=True)["config"]
    statistics = grpc_client.get_inference_statistics("m", "1", as_json=True)["model_stats"][0]
    server = grpc_client.get_server_metadata(as_json=True)

    assert ("m", "onnxruntime_onnx") == (metadata["name"], metadata["platform"])
    assert ("m", ["2"]) == (config["name"], config["input"][0]["dims"])
    assert int(statistics["inference_stats"]["success"]["count"]) > 0
    assert {"statistics", "model_configuration"} <= set(server["extensions"])
