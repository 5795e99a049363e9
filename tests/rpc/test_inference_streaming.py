"""ModelStreamInfer on both fronts: order, errors, bounds, cancellation and the end of the service."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import Runner
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, open_grpc_replica, request
from tests.rpc.rest_fixtures import echo

PATIENCE_SECONDS = 20
FP32 = np.dtype("<f4")


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


class GatedRunner:
    """A real session whose runs wait for a gate; it remembers their inputs."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.plan, self.provider = runner.plan, runner.provider
        self.memory_bytes = 0
        self.graph, self.remark = runner.graph, runner.remark
        self.labels: Mapping[str, Sequence[bytes]] = {}
        self.batching_obstacle = ""
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.seen: list[float] = []
        self.look: Callable[[], None] = lambda: None

    def new_handle(self) -> Any:
        return self._runner.new_handle()

    def run(self, inputs: Sequence[Array], handle: Any = None) -> list[Array]:
        self.look()
        self.entered.release()
        assert self.gate.wait(PATIENCE_SECONDS)
        self.seen.append(float(inputs[0].ravel()[0]))
        return self._runner.run(inputs, handle)

    def run_alone(self, inputs: Sequence[Array], handle: Any = None) -> list[Array]:
        return self.run(inputs, handle)

    def rest(self) -> None:
        self._runner.rest()

    def probe(self) -> str:
        return self._runner.probe()

    def close(self) -> None:
        self._runner.close()


class Gates:
    """Opens sessions behind gates; `runner` is the last one."""

    runner: GatedRunner

    def open(self, path: Path, record: VersionRecord) -> Runner:
        session = open_session(path, record)
        self.runner = GatedRunner(session)
        return self.runner


def numbered(index: int, model: str = "echo-FP32") -> Any:
    """Request number `index`, whose value says so, too."""
    return request(model, np.array([index], np.float32), request_id=str(index))


async def sent(*requests: Any) -> AsyncIterator[Any]:
    """These requests, then the end."""
    for each in requests:
        yield each


async def messages_of(call: Any) -> list[Any]:
    """All that a stream answers."""
    return [message async for message in call]


def value_of(response: Any) -> float:
    """The one value of an answer."""
    return float(np.frombuffer(response.raw_output_contents[0], FP32)[0])


async def test_answers_come_in_order_and_are_final(tmp_path: Path, front: str) -> None:
    """Many more requests than may be in flight are answered one for one, each marked as final."""
    options: dict[str, Any] = {"front": front, "max_stream_requests": 4}
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), **options) as replica:
        requests = [numbered(index) for index in range(300)]
        messages = await messages_of(replica.stub.ModelStreamInfer(sent(*requests)))

    answers = [message.infer_response for message in messages]
    assert [str(index) for index in range(300)] == [answer.id for answer in answers]
    assert list(map(float, range(300))) == [value_of(answer) for answer in answers]
    assert all(answer.parameters["triton_final_response"].bool_param for answer in answers)


async def test_large_messages_pass(tmp_path: Path, front: str) -> None:
    """Requests and answers of several megabytes, which span frames and windows, beside small ones."""
    values = np.arange(1_000_000, dtype=np.float32)
    large = request("echo-FP32", values, request_id="large")
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        options = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(replica.grpc_address, options) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            requests = sent(numbered(0), large, numbered(1), large, numbered(2))
            messages = await messages_of(stub.ModelStreamInfer(requests))

    answers = [message.infer_response for message in messages]
    assert ["0", "large", "1", "large", "2"] == [answer.id for answer in answers]
    assert all(values.tobytes() == answers[place].raw_output_contents[0] for place in (1, 3))


async def test_streamed_requests_are_counted_like_others(tmp_path: Path, front: str) -> None:
    """Statistics know the streamed successes and failures."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        wrong = numbered(9)
        wrong.raw_input_contents[0] = b"123"
        await messages_of(replica.stub.ModelStreamInfer(sent(numbered(0), wrong, numbered(1))))
        counts = replica.ingress.book.of("echo-FP32", 1).totals()

    assert 2 == counts.successes


async def test_an_error_is_told_between_answers(tmp_path: Path, front: str) -> None:
    """A bad request is answered in its place with a text and its id, and the stream goes on."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        requests = [numbered(0), numbered(1, "unknown"), numbered(2)]
        messages = await messages_of(replica.stub.ModelStreamInfer(sent(*requests)))

    expected = "Request for unknown model: 'unknown' is not found"
    assert ["", expected, ""] == [message.error_message for message in messages]
    assert pb.ModelInferResponse(id="1") == messages[1].infer_response
    assert ["0", "2"] == [messages[index].infer_response.id for index in (0, 2)]


async def test_bytes_that_are_no_request_are_told_too(tmp_path: Path, front: str) -> None:
    """Garbage in a stream is the caller's error and ends nothing."""
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
    ):
        raw: Any = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        call = raw(sent(b"\xff\xff", numbered(1).SerializeToString()))
        messages = [pb.ModelStreamInferResponse.FromString(part) async for part in call]

    assert "are not an inference.ModelInferRequest" in messages[0].error_message
    assert "1" == messages[1].infer_response.id


async def test_metadata_asks_for_a_real_status(tmp_path: Path, front: str) -> None:
    """With `triton_grpc_error: true` the first error ends the stream, after the answers before it."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        requests = sent(numbered(0), numbered(1, "unknown"), numbered(2))
        metadata = (("triton_grpc_error", "true"),)
        call = replica.stub.ModelStreamInfer(requests, metadata=metadata)
        first = await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert "0" == first.infer_response.id
    assert grpc.StatusCode.NOT_FOUND == caught.value.code()


async def test_mlservers_form_is_the_bare_answer(tmp_path: Path, front: str) -> None:
    """By setting, answers are plain ModelInferResponses and an error ends the stream."""
    options: dict[str, Any] = {"front": front, "stream_response": "mlserver"}
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), **options) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
    ):
        raw: Any = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        call = raw(sent(numbered(7), numbered(8, "unknown")))
        first = await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert ("7", 7.0) == (first.id, value_of(first))
    assert grpc.StatusCode.NOT_FOUND == caught.value.code()


async def _entered(runner: GatedRunner) -> None:
    assert await asyncio.to_thread(runner.entered.acquire, timeout=PATIENCE_SECONDS)


def _pool(replica: GrpcReplica) -> Any:
    return replica.ingress.reconciler.table.find("echo-FP32", "").scheduler


async def test_a_stream_has_so_many_requests_in_flight(tmp_path: Path, front: str) -> None:
    """The next request is read only when one was answered."""
    gates = Gates()
    options: dict[str, Any] = {"front": front, "max_stream_requests": 3}
    async with open_grpc_replica(
        tmp_path, echo(Datatype.FP32), open_model=_gated(gates), **options
    ) as replica:
        waiting: list[int] = []
        gates.runner.look = lambda: waiting.append(_pool(replica).waiting)
        call = replica.stub.ModelStreamInfer(sent(*[numbered(index) for index in range(20)]))
        await _entered(gates.runner)
        gates.runner.gate.set()
        assert 20 == len(await messages_of(call))

    assert max(waiting) <= 2


def _gated(gates: Gates) -> Any:
    def open_model(path: Path, record: VersionRecord) -> Runner:
        return gates.open(path, record)

    return open_model


async def test_a_cancelled_stream_drops_what_waits(tmp_path: Path, front: str) -> None:
    """Requests of a caller that has gone are not run."""
    gates = Gates()
    model = echo(Datatype.FP32)
    async with open_grpc_replica(tmp_path, model, open_model=_gated(gates), front=front) as replica:
        call = replica.stub.ModelStreamInfer(sent(*[numbered(index) for index in range(5)]))
        reading = asyncio.ensure_future(messages_of(call))
        await _entered(gates.runner)
        waiting = _pool(replica)._waiting
        await _until(lambda: len(waiting) == 4)
        reading.cancel()
        call.cancel()
        await _until(lambda: all(pending.cancelled for pending in waiting))
        gates.runner.gate.set()
        await replica.stub.ModelInfer(numbered(100))

    assert [0.0, 100.0] == gates.runner.seen


async def _until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - other threads know no event
            await asyncio.sleep(0.005)


async def test_a_stopping_service_ends_streams(tmp_path: Path, front: str) -> None:
    """What is in flight is answered, then the stream ends, though its caller has not."""
    gates = Gates()
    model = echo(Datatype.FP32)
    async with open_grpc_replica(tmp_path, model, open_model=_gated(gates), front=front) as replica:
        call = replica.stub.ModelStreamInfer()
        await call.write(numbered(0))
        await _entered(gates.runner)
        replica.stopping.set()
        gates.runner.gate.set()
        first = await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert "0" == first.infer_response.id
    assert grpc.StatusCode.UNAVAILABLE == caught.value.code()


async def test_tritons_own_client_streams(tmp_path: Path, front: str) -> None:
    """tritonclient's stream gets its results in order, and its errors as exceptions with the id."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        results = await asyncio.to_thread(_stream_with_triton, replica.grpc_address)

    values = [value_of(result.get_response()) for result, error in results if error is None]
    errors = [str(error) for _, error in results if error is not None]
    assert list(map(float, range(10))) == values
    assert ["Request for unknown model: 'unknown' is not found"] == errors


def _stream_with_triton(address: str) -> list[tuple[Any, Any]]:
    results: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with triton.InferenceServerClient(address) as client:
        client.start_stream(lambda result, error: results.put((result, error)))
        for index in range(10):
            client.async_stream_infer("echo-FP32", [_triton_input(index)], request_id=str(index))
        client.async_stream_infer("unknown", [_triton_input(0)], enable_empty_final_response=True)
        gathered = [results.get(timeout=PATIENCE_SECONDS) for _ in range(11)]
        client.stop_stream()
    return gathered


def _triton_input(value: float) -> Any:
    given = triton.InferInput("x", [1], "FP32")
    given.set_data_from_numpy(np.array([value], np.float32))
    return given
