"""What callers are told is what is counted: each refusal once, with its reason, however it came about."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import QueuePolicy, ServingConfig, WarmUp
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.domain.scheduling import requests
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import ECHO, Model, arithmetic, echo
from tests.rpc.test_endless_runs import PATIENCE_SECONDS, TURNS, Begun, counting, turns

TIMES = 3
"""A kind of refusal is tried more often than once: the second time much of it is remembered."""

METHOD = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def asked(**changes: Any) -> Any:
    """A request of the echo, changed."""
    message = request("echo-FP32", np.zeros(2, np.float32))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def wrong_input(**changes: Any) -> bytes:
    """A request of the echo whose input is changed."""
    message = asked()
    for name, value in changes.items():
        if name == "shape":
            message.inputs[0].shape[:] = value
        else:
            setattr(message.inputs[0], name, value)
    return bytes(message.SerializeToString())


def many_values(model: str) -> bytes:
    """A request that is put aside to be decoded, and leads nowhere or is wrong."""
    message = pb.ModelInferRequest(model_name=model)
    message.inputs.add(name="x", datatype="FP32", shape=[1])
    message.inputs[0].contents.fp32_contents.extend([0.0] * 20_000)
    return bytes(message.SerializeToString())


MESSAGES: dict[str, tuple[str, bytes]] = {
    "no message": ("MALFORMED_REQUEST", b"\xff\xff\xff"),
    "a long one that is none": ("MALFORMED_REQUEST", b"\xff" * 40_000),
    "an id that is no text": (
        "MALFORMED_REQUEST",
        asked(id="#").SerializeToString().replace(b"#", b"\xff"),
    ),
    "another model": ("MODEL_NOT_FOUND", asked(model_name="nobody").SerializeToString()),
    "another version": ("VERSION_NOT_FOUND", asked(model_version="77").SerializeToString()),
    "another alias": ("ALIAS_NOT_FOUND", asked(model_version="nope").SerializeToString()),
    "no version": ("VERSION_INVALID", asked(model_version="-1").SerializeToString()),
    "another datatype": ("DATATYPE_MISMATCH", wrong_input(datatype="FP64")),
    "another shape": ("SHAPE_MISMATCH", wrong_input(shape=[2, 1])),
    "another name": ("INPUT_UNKNOWN", wrong_input(name="z")),
    "too few bytes": ("RAW_SIZE_MISMATCH", wrong_input(shape=[3])),
    "too many values": ("CONTENTS_COUNT_MISMATCH", many_values("echo-FP32")),
    "many values for nobody": ("MODEL_NOT_FOUND", many_values("nobody")),
}

Send = Callable[[grpc.aio.Channel, bytes], Awaitable[bool]]
"""Sends a request, and tells whether it was refused."""


async def by_call(channel: grpc.aio.Channel, payload: bytes) -> bool:
    """A call of ModelInfer."""
    call: Any = channel.unary_unary(METHOD)
    return (await failure_of(call(payload, timeout=10)))[0] != "OK"


async def by_stream(channel: grpc.aio.Channel, payload: bytes) -> bool:
    """A stream of one request."""
    method: Any = channel.stream_stream(STREAM)
    call = method(iter([payload]), timeout=10)
    (answer,) = [pb.ModelStreamInferResponse.FromString(message) async for message in call]
    return bool(answer.error_message)


def counted(replica: GrpcReplica) -> Counter[str]:
    """All errors, by reason, as statistics have them."""
    known = replica.ingress.book.items()
    return sum((statistics.totals().errors for _, statistics in known), Counter[str]())


async def shown(replica: GrpcReplica) -> Counter[str]:
    """All errors, by reason, as a scraper and the monitor have them, who must have the same."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{replica.metrics_address}/metrics") as response,
    ):
        text = await response.text()
    found = re.findall(
        r'^headrace_inference_errors_total\{.*reason="(\w+)"\} (\d+)', text, re.MULTILINE
    )
    scraped = Counter[str]()
    for reason, count in found:
        scraped[reason] += int(count)
    reported = Counter[str]()
    buffer = TelemetryBuffer("r", replica.ingress.book, 10)
    buffer.collect()
    for report in buffer.after(0):
        for version in report.versions:
            reported.update(version.error_counts)
    assert scraped == reported
    return scraped


async def until_counted(replica: GrpcReplica, count: int) -> Counter[str]:
    """Wait until so many errors are counted: callers who left do not hear when that is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while counted(replica).total() < count:  # noqa: ASYNC110  # threads of the front know no event loop
            await asyncio.sleep(0.002)
    return counted(replica)


@pytest.mark.parametrize("send", [by_call, by_stream])
async def test_messages_that_are_refused_are_counted(
    tmp_path: Path, front: str, send: Send
) -> None:
    """Each kind, each time, with its reason, wherever errors are shown."""
    expected = Counter[str]()
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
    ):
        for reason, payload in MESSAGES.values():
            for _ in range(TIMES):
                assert await send(channel, payload)
                expected[reason] += 1
        assert expected == await shown(replica)
        assert 0 == replica.ingress.receptions.count


@pytest.mark.parametrize("send", [by_call, by_stream])
async def test_messages_without_room_are_counted(tmp_path: Path, front: str, send: Send) -> None:
    """Those over the bytes that a front may hold count under their model."""
    large = request("echo-FP32", np.zeros(1000, np.float32)).SerializeToString()
    async with (
        open_grpc_replica(
            tmp_path, echo(Datatype.FP32), front=front, max_bytes_in_flight=2000
        ) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
    ):
        for _ in range(TIMES):
            assert await send(channel, large)
        errors = replica.ingress.book.of("echo-FP32", 0).totals().errors

    assert {"REPLICA_OVERLOADED": TIMES} == errors


async def test_messages_that_are_too_large_are_counted(tmp_path: Path) -> None:
    """The native front has them whole; grpcio ends such calls by itself, before anybody sees them."""
    large = request("echo-FP32", np.zeros(1000, np.float32)).SerializeToString()
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), max_message_bytes=2000) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
    ):
        for _ in range(TIMES):
            assert await by_call(channel, large)
        assert {"MESSAGE_TOO_LARGE": TIMES} == counted(replica)


def waiting_model(**queue: Any) -> Model:
    """The counting model with one instance and such a queue."""
    config = ServingConfig(warm_up=WarmUp(runs=0), queue=QueuePolicy(**queue))
    model = counting()
    return replace(model, record=replace(model.record, config=config))


@pytest.fixture
def slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls be under way for longer than they are on a machine with cores to spare."""
    monkeypatch.setattr(requests, "CLOCKS_DIFFER_NS", 2_000_000_000)


@pytest.mark.usefixtures("slow_way")
async def test_who_waits_in_vain_is_counted_alike(tmp_path: Path, front: str) -> None:
    """Deadlines, timeouts, callers who left and a full queue, behind a run that does not end."""
    begun = Begun()
    hasty = turns(1)
    hasty.parameters["timeout"].int64_param = 1000
    model = waiting_model(allow_timeout_override=True, max_requests=TIMES)
    options: dict[str, Any] = {"front": front, "open_model": begun.open_session}
    async with open_grpc_replica(tmp_path, model, **options) as replica:
        infer = replica.stub.ModelInfer
        scheduler = replica.ingress.reconciler.table.find("counting", "").scheduler
        running = infer(turns(TURNS))
        await begun.wait()

        late = [await failure_of(infer(turns(1), timeout=0.1)) for _ in range(TIMES)]
        assert [("DEADLINE_EXCEEDED")] * TIMES == [code for code, _, _ in late]
        await until_counted(replica, TIMES)
        timed_out = [await failure_of(infer(hasty)) for _ in range(TIMES)]
        assert ["QUEUE_TIMEOUT"] * TIMES == [reason for _, reason, _ in timed_out]

        calls = [infer(turns(1)) for _ in range(TIMES)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while scheduler.waiting < TIMES:  # noqa: ASYNC110  # the threads of the front know no event loop
                await asyncio.sleep(0.002)
        full = [await failure_of(infer(turns(1))) for _ in range(TIMES)]
        assert ["QUEUE_FULL"] * TIMES == [reason for _, reason, _ in full]
        for call in calls:
            call.cancel()
        errors = await until_counted(replica, 4 * TIMES)
        running.cancel()
        assert {"CANCELLED": 1} == await until_counted(replica, 4 * TIMES + 1) - errors

    reasons = ("DEADLINE_EXCEEDED", "QUEUE_TIMEOUT", "QUEUE_FULL", "CANCELLED")
    assert dict.fromkeys(reasons, TIMES) == errors


@pytest.mark.usefixtures("slow_way")
async def test_a_run_that_ends_at_its_callers_deadline_is_counted_as_that(
    tmp_path: Path, front: str
) -> None:
    """Not as a caller who left, whatever came first: the end of the call, or the end of the run."""
    async with open_grpc_replica(tmp_path, counting(), front=front) as replica:
        for _ in range(TIMES):
            code, _, _ = await failure_of(replica.stub.ModelInfer(turns(TURNS), timeout=0.1))
            assert "DEADLINE_EXCEEDED" == code
        assert {"DEADLINE_EXCEEDED": TIMES} == await until_counted(replica, TIMES)


async def test_runs_that_fail_by_a_bug_are_counted(tmp_path: Path, front: str) -> None:
    """INTERNAL, as callers are told, for calls, streams and REST."""

    def open_broken(path: Path, record: Any) -> Any:
        runner: Any = Begun().open_session(path, record)

        def run(inputs: Any, handle: Any = None) -> Any:
            raise ZeroDivisionError

        runner.run = runner.run_alone = run
        return runner

    async with (
        open_grpc_replica(tmp_path, counting(), front=front, open_model=open_broken) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
    ):
        payload = turns(1).SerializeToString()
        assert await by_call(channel, payload)
        assert await by_stream(channel, payload)
        assert {"INTERNAL": 2} == await shown(replica)


BODIES: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    "no JSON": ("MALFORMED_JSON", ECHO, b"{", {}),
    "no request": ("MALFORMED_REQUEST", ECHO, b"{}", {}),
    "another model": (
        "MODEL_NOT_FOUND",
        "/v2/models/nobody/infer",
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        {},
    ),
    "another version": (
        "VERSION_NOT_FOUND",
        "/v2/models/echo-FP32/versions/7/infer",
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        {},
    ),
    "wrong values": (
        "DATA_INVALID",
        ECHO,
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": ["a"]}]}',
        {},
    ),
    "raw bytes for nobody": (
        "MODEL_NOT_FOUND",
        "/v2/models/nobody/infer",
        b"",
        {"Inference-Header-Content-Length": "0"},
    ),
    "an encoding": ("ENCODING_UNSUPPORTED", ECHO, b"{}", {"Content-Encoding": "br"}),
    "a broken one": ("MALFORMED_ENCODING", ECHO, b"{}", {"Content-Encoding": "gzip"}),
    "too large": ("BODY_TOO_LARGE", ECHO, b" " * 3000, {}),
    "generated for nobody": ("MODEL_NOT_FOUND", "/v2/models/nobody/generate", b"{}", {}),
    "nothing generated": ("INPUT_MISSING", "/v2/models/echo-FP32/generate", b"{}", {}),
}


async def test_rest_requests_that_are_refused_are_counted(tmp_path: Path) -> None:
    """Each kind, each time, with the reason that its body says."""
    told = Counter[str]()
    async with (
        open_grpc_replica(tmp_path, echo(Datatype.FP32), max_http_body_bytes=2000) as replica,
        aiohttp.ClientSession() as session,
    ):
        for reason, path, body, headers in BODIES.values():
            for _ in range(TIMES):
                url = f"http://{replica.http_address}{path}"
                async with session.post(url, data=body, headers=headers) as response:
                    assert reason == (await response.json())["reason"]
                    told[reason] += 1
        assert told == await shown(replica)


async def test_callers_who_leave_before_their_body_is_there_are_counted(tmp_path: Path) -> None:
    """They asked for something, and had no answer."""
    head = f"POST {ECHO} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32)) as replica:
        host, _, port = replica.http_address.rpartition(":")
        for _ in range(TIMES):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode() + b"{")
            await writer.drain()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not replica.ingress.receptions.count:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.002)
            writer.close()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while replica.ingress.receptions.count:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.002)
        assert {"CANCELLED": TIMES} == counted(replica)


async def test_one_wrong_request_beside_good_ones_counts_once(tmp_path: Path, front: str) -> None:
    """Successes and errors add up to what was asked."""
    good = pb.ModelInferRequest(model_name="arithmetic")
    for name in ("a", "b"):
        good.inputs.add(name=name, datatype="FP32", shape=[1, 4])
        good.raw_input_contents.append(bytes(16))
    wrong = pb.ModelInferRequest.FromString(good.SerializeToString())
    wrong.raw_input_contents[0] = bytes(12)
    async with open_grpc_replica(tmp_path, arithmetic(), front=front) as replica:
        calls = [replica.stub.ModelInfer(wrong if n % 4 == 0 else good) for n in range(40)]
        codes = Counter([(await failure_of(call))[0] for call in calls])
        totals = replica.ingress.book.of("arithmetic", 1).totals()

        assert {"OK": 30, "INVALID_ARGUMENT": 10} == codes
        assert (30, {"RAW_SIZE_MISMATCH": 10}) == (totals.successes, counted(replica))
