"""What became of a request counts as what its caller saw, on the version that it reached."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest
from onnx import helper

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.catalog import Catalog
from headrace.state.records import TensorSpec, VersionRecord
from headrace.state.route_records import Canary, RouteRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.versions.statistics import Counts
from tests.hostile.frames import PREFACE, RESET, call, frame, settings
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import ECHO, GOOD, Model, catalog_of, echo, model, wait_until_settled
from tests.rpc.test_connection_age import Gate
from tests.rpc.test_endless_runs import PATIENCE_SECONDS
from tests.rpc.test_refusals_are_counted import METHOD, STREAM, counted, shown, until_counted

TIMES = 3
STATUS = (("triton_grpc_error", "true"),)


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def counts(replica: GrpcReplica, name: str = "echo-FP32", number: int = 1) -> Counts:
    """What a version did."""
    return replica.ingress.book.of(name, number).totals()


def values(count: int = 2) -> Any:
    """A request of the echo."""
    return request("echo-FP32", np.zeros(count, np.float32))


async def until(holds: Callable[[], bool]) -> None:
    """Wait: threads of the front know no event loop."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class LastNode(Gate):
    """Opens sessions whose runs are at their last node until they are let through: nothing ends them."""

    def open_session(self, path: Path, record: VersionRecord) -> Any:
        """The session."""
        runner: Any = open_session(path, record)
        run = runner.run

        def gated(inputs: Any, handle: Any = None) -> Any:
            outputs = run(inputs, handle)
            self.entered.set()
            assert self.opened.wait(PATIENCE_SECONDS)
            return outputs

        runner.run = runner.run_alone = gated
        return runner


@asynccontextmanager
async def gated(folder: Path, front: str) -> AsyncIterator[tuple[GrpcReplica, Gate]]:
    """A replica whose runs begin, and go on when the gate is opened."""
    gate = LastNode()
    options: dict[str, Any] = {"front": front, "open_model": gate.open_session}
    async with open_grpc_replica(folder, echo(Datatype.FP32), **options) as replica:
        yield replica, gate
        gate.opened.set()


Leave = Callable[[GrpcReplica, Gate], Awaitable[None]]
"""Asks for something, and leaves while it runs."""


async def running(gate: Gate) -> None:
    """Wait until a run has begun."""
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)


async def leave_a_call(replica: GrpcReplica, gate: Gate) -> None:
    """ModelInfer, cancelled."""
    asked = replica.stub.ModelInfer(values())
    await running(gate)
    asked.cancel()


async def leave_a_stream(replica: GrpcReplica, gate: Gate) -> None:
    """ModelStreamInfer, cancelled."""
    stream = replica.stub.ModelStreamInfer()
    await stream.write(values())
    await running(gate)
    stream.cancel()


async def leave_rest(replica: GrpcReplica, gate: Gate) -> None:
    """A connection that is closed."""
    async with aiohttp.ClientSession() as session:
        asked = asyncio.ensure_future(
            session.post(f"http://{replica.http_address}{ECHO}", json=GOOD)
        )
        await running(gate)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


@pytest.mark.parametrize("leave", [leave_a_call, leave_a_stream, leave_rest])
async def test_a_run_whose_caller_left_is_no_success(
    tmp_path: Path, front: str, leave: Leave
) -> None:
    """It ran, and that counts; its request was cancelled, and is in no latency of successes."""
    async with gated(tmp_path, front) as (replica, gate):
        await leave(replica, gate)
        scheduler = replica.ingress.reconciler.table.find("echo-FP32", "").scheduler
        await replica.stub.ServerLive(pb.ServerLiveRequest())  # what came before it was read
        await until(lambda: not replica.ingress.receptions.count)
        gate.opened.set()
        await until(lambda: scheduler.in_flight == 0 and counts(replica).executions == 1)
        await until_counted(replica, 1)
        after = counts(replica)

        assert ({"CANCELLED": 1}, 0, 0) == (after.errors, after.successes, after.total.count)
        assert (1, 1) == (after.executions, after.failed.count)
        assert {"CANCELLED": 1} == await shown(replica)
        await replica.stub.ModelInfer(values())
        assert 1 == counts(replica).successes


async def test_a_run_that_ends_after_its_callers_deadline_is_no_success(
    tmp_path: Path, front: str
) -> None:
    """The caller was told DEADLINE_EXCEEDED, by its own clock."""
    async with gated(tmp_path, front) as (replica, gate):
        code, _, _ = await failure_of(replica.stub.ModelInfer(values(), timeout=1.0))
        await replica.stub.ServerLive(pb.ServerLiveRequest())  # its end was read before
        gate.opened.set()
        await until(lambda: counts(replica).executions == 1)
        await until_counted(replica, 1)

        assert "DEADLINE_EXCEEDED" == code
        assert ({"DEADLINE_EXCEEDED": 1}, 0) == (
            counts(replica).errors,
            counts(replica).successes,
        )


async def test_calls_that_are_given_up_as_they_come_are_cancelled(
    tmp_path: Path, front: str
) -> None:
    """A call and its end, in one write: nobody reads the answer that there may be."""
    payload = values().SerializeToString()
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        await replica.stub.ModelInfer(values())
        host, _, port = replica.grpc_address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        ended = struct.pack(">I", 8)
        writer.write(PREFACE + settings())
        for stream in range(1, 2 * TIMES, 2):
            writer.write(call(payload, stream=stream) + frame(RESET, 0, stream, ended))
        await writer.drain()
        await replica.stub.ModelInfer(values())  # gRPC may drop such calls before anybody sees them
        writer.close()
        after = counts(replica)

    assert (2, {"CANCELLED"}) == (after.successes, {"CANCELLED", *after.errors})


async def test_what_a_version_refuses_counts_on_it(tmp_path: Path, front: str) -> None:
    """A canary that takes less than the stable version is seen to refuse, on every wire."""
    served = echo(Datatype.FP32)
    async with (
        open_grpc_replica(tmp_path, served, front=front) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
        aiohttp.ClientSession() as session,
    ):
        await with_strict_canary(replica, served)
        payload = values(3).SerializeToString()
        stream: Any = channel.stream_stream(STREAM)
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [3], "data": [1, 2, 3]}]}
        for _ in range(2 * TIMES):
            await failure_of(replica.stub.ModelInfer(values(3)))
            assert 1 == len([answer async for answer in stream(iter([payload]))])
            async with session.post(f"http://{replica.http_address}{ECHO}", json=body):
                pass
            async with session.post(
                f"http://{replica.http_address}/v2/models/echo-FP32/generate", json={"x": [1, 2, 3]}
            ):
                pass
        one, two, none = (counts(replica, number=number) for number in (1, 2, 0))

    assert (4 * TIMES, {}) == (one.successes, one.errors)
    assert (0, {"SHAPE_MISMATCH": 4 * TIMES}) == (two.successes, two.errors)
    assert {} == none.errors


async def with_strict_canary(replica: GrpcReplica, served: Model) -> None:
    """Give half of the requests to a version 2 that takes two values only."""
    reconciler = replica.ingress.reconciler
    catalog = catalog_of([served])
    (former,) = catalog.models.values()
    route = RouteRecord(stable=1, canary=Canary(2, 50.0))
    strict = tuple(replace(spec, shape=(2,)) for spec in served.record.signature.inputs)
    signature = replace(served.record.signature, inputs=strict)
    second = replace(served.record, number=2, signature=signature)
    records = {**catalog.versions, (former.name, 2): second}
    reconciler.want(Catalog(2, {former.name: replace(former, route=route)}, records))
    await wait_until_settled(reconciler)


async def test_a_version_that_is_not_ready_is_named(tmp_path: Path, front: str) -> None:
    """Those who ask for it are told, and counted on it; there are no others that callers could make up."""

    def failing(path: Path, record: VersionRecord) -> Any:
        if record.number == 2:
            raise FailedPrecondition("MODEL_UNLOADABLE", "not here")
        return open_session(path, record)

    served = echo(Datatype.FP32)
    options: dict[str, Any] = {"front": front, "open_model": failing}
    async with open_grpc_replica(tmp_path, served, **options) as replica:
        reconciler = replica.ingress.reconciler
        catalog = catalog_of([served])
        second = replace(served.record, number=2)
        former = replace(catalog.models["echo-FP32"], keep_latest=2)
        records = {**catalog.versions, ("echo-FP32", 2): second}
        reconciler.want(Catalog(2, {"echo-FP32": former}, records))
        await wait_until_settled(reconciler)
        for asked in ("2", "2", "77", "78"):
            message = values()
            message.model_version = asked
            await failure_of(replica.stub.ModelInfer(message))
        assert {"VERSION_NOT_READY": 2} == counts(replica, number=2).errors
        assert {"VERSION_NOT_FOUND": 2} == counts(replica, number=0).errors


def texts() -> Model:
    """A model that answers the bytes that it gets."""
    specs = [TensorSpec(name, Datatype.BYTES, (-1,)) for name in ("x", "y")]
    return model("texts", [helper.make_node("Identity", ["x"], ["y"])], specs[:1], specs[1:])


async def test_an_answer_that_cannot_be_given_is_no_success(tmp_path: Path) -> None:
    """REST finds that out when the run is over: one error, and nothing else."""
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), max_message_bytes=60) as replica,
        aiohttp.ClientSession() as session,
    ):
        inputs = [{"name": "x", "datatype": "FP32", "shape": [9], "data": [0.123456789] * 9}]
        async with session.post(
            f"http://{replica.http_address}{ECHO}", json={"inputs": inputs}
        ) as response:
            assert "ANSWER_TOO_LARGE" == (await response.json())["reason"]
        assert ({"ANSWER_TOO_LARGE": 1}, 0, 1) == (
            counts(replica).errors,
            counts(replica).successes,
            counts(replica).executions,
        )


async def test_what_an_error_leaves_of_a_stream_is_cancelled(tmp_path: Path, front: str) -> None:
    """Where an error ends the stream, its caller hears of it alone, whatever came out of the others."""
    wrong = values()
    wrong.inputs[0].name = "z"
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        asked = [values(), wrong, *[values() for _ in range(TIMES)], wrong]
        stream = replica.stub.ModelStreamInfer(iter(asked), metadata=STATUS)
        assert await stream.read()
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read()
        await until(lambda: not replica.ingress.receptions.count)
        after = counts(replica)
        read = after.successes + counted(replica).total()

    assert 1 == after.successes
    assert 1 == after.errors["INPUT_UNKNOWN"]
    assert {"INPUT_UNKNOWN", "CANCELLED"} >= set(counted(replica))
    assert 2 <= read <= len(asked)


async def test_every_request_has_one_outcome(tmp_path: Path, front: str) -> None:
    """Good, wrong, too late and given up, mixed: as many are counted as were sent, and none is left."""
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
    ):
        infer: Any = channel.unary_unary(METHOD)
        wrong = request("nobody", np.zeros(2, np.float32)).SerializeToString()
        good = values().SerializeToString()
        seen = Counter[str]()
        for number in range(40):
            calls = [infer(wrong if number % 5 == each else good) for each in range(8)]
            await asyncio.sleep(0)
            calls[number % 8].cancel()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            seen.update(code_of(outcome) for outcome in outcomes)
        await until(lambda: not replica.ingress.receptions.count)
        errors, successes = counted(replica), counts(replica).successes

    assert seen["NOT_FOUND"] <= errors["MODEL_NOT_FOUND"] <= 40
    assert seen["OK"] <= successes
    assert seen["OK"] + seen["NOT_FOUND"] <= successes + errors.total() <= seen.total()
    assert {"MODEL_NOT_FOUND", "CANCELLED"} >= set(errors)


def code_of(outcome: Any) -> str:
    """The status that a caller saw."""
    if isinstance(outcome, grpc.aio.AioRpcError):
        return outcome.code().name
    return "CANCELLED" if isinstance(outcome, asyncio.CancelledError) else "OK"


async def test_errors_have_their_latency(tmp_path: Path, front: str) -> None:
    """A histogram of its own, beside that of successes."""
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica,
        aiohttp.ClientSession() as session,
    ):
        wrong = values()
        wrong.inputs[0].datatype = "FP64"
        await replica.stub.ModelInfer(values())
        for _ in range(TIMES):
            await failure_of(replica.stub.ModelInfer(wrong))
        async with session.get(f"http://{replica.metrics_address}/metrics") as response:
            lines = (await response.text()).splitlines()
        labels = '{model="echo-FP32",version="1"}'
        assert f"headrace_inference_error_seconds_count{labels} {TIMES}" in lines
        assert f"headrace_inference_request_seconds_count{labels} 1" in lines
        assert TIMES == counts(replica).failed.count
        assert 0 < counts(replica).failed.sum_ns < 10**9
