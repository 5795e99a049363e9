"""A version that answers a request several times, over a replica's real ports (Triton: decoupled)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed, Runner
from headrace_inference.wire.streams import calls
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import echo

PATIENCE_SECONDS = 20.0
EMPTY_FINAL = "triton_enable_empty_final_response"
FINAL = "triton_final_response"


class CountingRunner:
    """A real session, asked once for each response: it counts up to the request's value, from 1."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.plan, self.provider = runner.plan, runner.provider
        self.graph, self.remark, self.memory_bytes = runner.graph, runner.remark, 0
        self.labels: Mapping[str, Sequence[bytes]] = {}
        self.batching_obstacle = ""
        self.run, self.run_alone, self.probe = runner.run, runner.run_alone, runner.probe
        self.new_handle, self.close = runner.new_handle, runner.close
        self.rest = runner.rest
        self.step: Callable[[int, int], None] = lambda *_: None
        self.left = threading.Event()

    def stream(
        self, inputs: Sequence[Array], handle: Any = None
    ) -> Generator[Sequence[Array], None, None]:
        (x,) = inputs
        try:
            last = int(x[0])
            for number in range(1, last + 1):
                self.step(number, last)
                if number == 13:
                    raise RunFailed("unlucky")
                yield self._runner.run([np.full_like(x, number)], handle)
        finally:
            self.left.set()


@asynccontextmanager
async def counting(
    folder: Path, instances: int = 1, **options: Any
) -> AsyncIterator[tuple[GrpcReplica, CountingRunner]]:
    """A replica whose one model counts."""
    model = echo(Datatype.FP32)
    config = replace(model.record.config, instances=instances)
    model = replace(model, record=replace(model.record, config=config))
    opened: list[CountingRunner] = []

    def open_model(path: Path, record: VersionRecord) -> Runner:
        opened.append(CountingRunner(open_session(path, record)))
        return opened[0]

    async with open_grpc_replica(folder, model, open_model=open_model, **options) as replica:
        yield replica, opened[0]


def up_to(number: int, *, empty_final: bool = False) -> Any:
    """A request that is named by its number, for so many responses."""
    message = request("echo-FP32", np.array([number], np.float32), request_id=str(number))
    if empty_final:
        message.parameters[EMPTY_FINAL].bool_param = True
    return message


async def sent(*requests: Any) -> AsyncIterator[Any]:
    for each in requests:
        yield each


def heard(message: Any) -> tuple[str, float | str | None, bool]:
    """The id of a message, its value (or its error), and whether it is the last of its request."""
    response = message.infer_response
    if message.error_message:
        return response.id, message.error_message, True
    values = [np.frombuffer(raw, np.float32)[0] for raw in response.raw_output_contents]
    value = float(values[0]) if values else None
    return response.id, value, response.parameters[FINAL].bool_param


@pytest.mark.parametrize("front", FRONTS)
async def test_a_stream_gets_every_response_in_order(tmp_path: Path, front: str) -> None:
    """Who asks for it gets an empty final response; without that the last is not marked."""
    async with counting(tmp_path, front=front) as (replica, _):
        asked = sent(up_to(3, empty_final=True), up_to(2), up_to(0, empty_final=True), up_to(0))
        call = replica.stub.ModelStreamInfer(asked)
        found = [heard(message) async for message in call]
        counts = replica.ingress.book.of("echo-FP32", 1).totals()
    three = [("3", 1.0, False), ("3", 2.0, False), ("3", 3.0, False), ("3", None, True)]
    assert [*three, ("2", 1.0, False), ("2", 2.0, False), ("0", None, True)] == found
    assert (4, 4, 4) == (counts.successes, counts.total.count, counts.executions)


async def test_output_options_hold_for_every_response(tmp_path: Path) -> None:
    """The best class of one value is that value's, at place 0."""
    asked = up_to(2, empty_final=True)
    asked.outputs.add(name="y").parameters["classification"].int64_param = 1
    async with counting(tmp_path) as (replica, _):
        call = replica.stub.ModelStreamInfer(sent(asked))
        found = [message.infer_response async for message in call]
    outputs = [[raw[4:] for raw in response.raw_output_contents] for response in found]
    assert [[b"1.000000:0"], [b"2.000000:0"], []] == outputs
    assert [False, False, True] == [one.parameters[FINAL].bool_param for one in found]


async def test_responses_come_while_others_are_made(tmp_path: Path) -> None:
    """Nothing waits for the end."""
    read = threading.Event()

    def wait_for_reader(number: int, _: int) -> None:
        assert number == 1 or read.wait(PATIENCE_SECONDS)

    async with counting(tmp_path) as (replica, runner):
        runner.step = wait_for_reader
        call = replica.stub.ModelStreamInfer(sent(up_to(2)))
        first = await call.read()
        read.set()
        found = [heard(first), heard(await call.read())]
        assert grpc.aio.EOF is await call.read()
    assert [("2", 1.0, False), ("2", 2.0, False)] == found


async def test_an_error_may_follow_responses(tmp_path: Path) -> None:
    """In the place of the responses that are missing; the next request is answered."""
    async with counting(tmp_path) as (replica, _):
        call = replica.stub.ModelStreamInfer(sent(up_to(14), up_to(1)))
        found = [heard(message) async for message in call]
        counts = replica.ingress.book.of("echo-FP32", 1).totals()
    assert [("14", float(number), False) for number in range(1, 13)] == found[:12]
    assert ("14", "onnx runtime error: unlucky", True) == found[12]
    assert [("1", 1.0, False)] == found[13:]
    assert (1, {"RUN_FAILED": 1}) == (counts.successes, dict(counts.errors))


async def test_a_caller_that_leaves_ends_its_run(tmp_path: Path) -> None:
    """At its next response: nothing is made that nobody takes."""
    async with counting(tmp_path) as (replica, runner):
        call = replica.stub.ModelStreamInfer(sent(up_to(12)))
        gone = threading.Event()
        runner.step = lambda number, _: None if number == 1 else _wait(gone)
        await call.read()
        call.cancel()
        counters = replica.ingress.book.of("echo-FP32", 1)
        await _until(lambda: replica.ingress.receptions.count == 0)
        gone.set()
        await asyncio.to_thread(runner.left.wait, PATIENCE_SECONDS)
        await _until(lambda: counters.totals().errors)
        counts = counters.totals()
    assert (0, {"CANCELLED": 1}) == (counts.successes, dict(counts.errors))


def _wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE_SECONDS)


async def _until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - other threads know no event
            await asyncio.sleep(0.005)


async def test_responses_come_beside_those_to_earlier_requests(tmp_path: Path) -> None:
    """A request that takes long holds up no other."""
    async with counting(tmp_path, instances=2) as (replica, runner):
        runner.step = lambda number, last: None if last == 2 else _wait(runner.left)
        call = replica.stub.ModelStreamInfer(sent(up_to(1), up_to(2, empty_final=True)))
        found = [heard(message)[:2] async for message in call]
    assert [("2", 1.0), ("2", 2.0), ("2", None), ("1", 1.0)] == found


async def test_responses_that_nobody_reads_have_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In MLServer's form those of a later request wait for the earlier ones', and not without end."""
    monkeypatch.setattr(calls, "MAX_UNSENT_RESPONSES", 3)
    options: dict[str, Any] = {"instances": 2, "stream_response": "mlserver"}
    async with counting(tmp_path, **options) as (replica, runner):
        runner.step = lambda number, last: None if last == 9 else _wait(runner.left)
        found: list[Any] = []
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await _read_bare(replica, found, up_to(2), up_to(9))
        counts = replica.ingress.book.of("echo-FP32", 1).totals()
    values = [np.frombuffer(one.raw_output_contents[0], np.float32)[0] for one in found]
    assert [1, 2, 1, 2, 3] == values
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is ended.value.code()
    assert (1, {"RESPONSES_UNREAD": 1}) == (counts.successes, dict(counts.errors))


@pytest.mark.parametrize("front", FRONTS)
async def test_one_response_is_asked_for_in_vain(tmp_path: Path, front: str) -> None:
    """The error names the call that takes several."""
    async with counting(tmp_path, front=front) as (replica, _):
        code, reason, message = await failure_of(replica.stub.ModelInfer(up_to(2)))
        counts = replica.ingress.book.of("echo-FP32", 1).totals()
    assert ("UNIMPLEMENTED", "STREAM_REQUIRED") == (code, reason)
    assert "ModelStreamInfer" in message
    assert {"STREAM_REQUIRED": 1} == dict(counts.errors)


async def _read_bare(replica: GrpcReplica, found: list[Any], *requests: Any) -> None:
    """Read what answers these requests in MLServer's form."""
    async with grpc.aio.insecure_channel(replica.grpc_address) as channel:
        call: Any = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        async for message in call(sent(*requests)):
            found.append(message)  # noqa: PERF401  # what came before an error stays


async def test_bare_responses_have_no_mark(tmp_path: Path) -> None:
    """MLServer's form of a stream is the responses alone."""
    found: list[Any] = []
    async with counting(tmp_path, stream_response="mlserver") as (replica, _):
        await _read_bare(replica, found, up_to(2))
    assert [("2", False), ("2", False)] == [(one.id, FINAL in one.parameters) for one in found]
