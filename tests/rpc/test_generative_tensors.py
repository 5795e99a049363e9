"""Generative versions in Triton's form: by its own clients, by every wire there is for tensors."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from headrace.datatypes import Datatype
from headrace.errors import HeadraceError
from headrace.language.triton_form import GENERATION_SIGNATURE
from headrace.state.records import VersionRecord
from headrace_inference.domain.generation.requests import GenerationRequest, StopConditions
from headrace_inference.domain.ingress.language_calls import CallFacts, LanguageCalls
from headrace_inference.domain.scheduling.queue_refusals import shutting_down
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import echo
from tests.unit.inference.text_doubles import FACTS, EchoRunner, failing_after, until

MODEL = "echo-FP32"
PATIENCE_SECONDS = 20.0


@asynccontextmanager
async def generating(
    folder: Path, *, gated: bool = False, **options: Any
) -> AsyncIterator[tuple[GrpcReplica, EchoRunner]]:
    """A replica whose one model generates."""
    model = echo(Datatype.FP32)
    record = replace(model.record, signature=GENERATION_SIGNATURE, language=FACTS)
    opened: list[EchoRunner] = []

    def open_model(path: Path, record: VersionRecord) -> EchoRunner:
        opened.append(EchoRunner(gated=gated))
        return opened[0]

    model = replace(model, record=record)
    async with open_grpc_replica(folder, model, open_model=open_model, **options) as replica:
        yield replica, opened[0]


def inputs(text: str, **values: bool | str) -> list[Any]:
    """The tensors of a request."""
    return [_input("text_input", text), *[_input(name, value) for name, value in values.items()]]


def _input(name: str, value: bool | str) -> Any:
    if isinstance(value, bool):
        datatype, array = "BOOL", np.array([value])
    else:
        datatype, array = "BYTES", np.array([value.encode()], np.object_)
    tensor = triton.InferInput(name, [1], datatype)
    tensor.set_data_from_numpy(array)
    return tensor


Heard = tuple[str, str | None, bool]


class TritonStream:
    """Triton's client, on a stream of its own; what it hears waits in a queue."""

    def __init__(self, address: str) -> None:
        self.client = triton.InferenceServerClient(address)
        self.heard: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()
        self.client.start_stream(lambda result, error: self.heard.put((result, error)))

    def ask(self, name: str, tensors: list[Any], **parameters: Any) -> None:
        self.client.async_stream_infer(
            MODEL,
            tensors,
            request_id=name,
            enable_empty_final_response=True,
            parameters=parameters or None,
        )

    def next(self) -> Heard:
        """The request, the text (or the error), and whether it is the last."""
        result, error = self.heard.get(timeout=PATIENCE_SECONDS)
        if error is not None:
            return "", str(error), True
        response = result.get_response()
        final = response.parameters["triton_final_response"].bool_param
        texts = result.as_numpy("text_output")
        return response.id, None if texts is None else texts[0].decode(), final


def _talk(address: str, *asked: tuple[str, list[Any], dict[str, Any]]) -> dict[str, list[Any]]:
    """What is heard of each of these requests, on one stream."""
    stream = TritonStream(address)
    for name, tensors, parameters in asked:
        stream.ask(name, tensors, **parameters)
    heard: dict[str, list[Any]] = {}
    for _ in asked:
        while True:
            name, text, is_last = stream.next()
            heard.setdefault(name, []).append(text)
            if is_last:
                break
    stream.client.stop_stream()
    return heard


@pytest.mark.parametrize("front", FRONTS)
async def test_tritons_client_streams(tmp_path: Path, front: str) -> None:
    """Deltas and an empty end, or a whole text that begins with the prompt, side by side on one stream."""
    async with generating(tmp_path, front=front) as (replica, _):
        streamed = "stream", inputs("abc", stream=True), {"max_tokens": 4}
        whole = "whole", inputs("abc"), {"max_tokens": 4}
        alone = "alone", inputs("abc", exclude_input_in_output=True), {"max_tokens": 4}
        heard = await asyncio.to_thread(_talk, replica.grpc_address, streamed, whole, alone)
        counts = replica.ingress.book.of(MODEL, 1).totals()
    assert {
        "stream": ["a", "b", "c", "a", None],
        "whole": ["abcabca"],
        "alone": ["abca"],
    } == heard
    assert (3, 3, {"stable": 3}) == (counts.successes, counts.executions, dict(counts.routes))


@pytest.mark.parametrize("front", FRONTS)
async def test_unary_calls_answer_as_a_whole(tmp_path: Path, front: str) -> None:
    """With all that their flags ask for, of every choice; sampling parameters replace the request's."""
    flags = [
        f"return_{name}"
        for name in (
            "finish_reason",
            "cumulative_logprob",
            "logprobs",
            "num_input_tokens",
            "num_output_tokens",
        )
    ]
    sampling = json.dumps({"max_tokens": "2", "n": 2, "temperature": 0.5, "stop": ["x", "y"]})
    tensors = inputs("abc", sampling_parameters=sampling, **dict.fromkeys(flags, True))

    def ask(address: str) -> dict[str, Any]:
        client = triton.InferenceServerClient(address)
        result = client.infer(MODEL, tensors, parameters={"max_tokens": 100})
        return {
            output.name: result.as_numpy(output.name).tolist()
            for output in result.get_response().outputs
        }

    async with generating(tmp_path, front=front) as (replica, _):
        found = await asyncio.to_thread(ask, replica.grpc_address)
    logprobs = [json.loads(text) for text in found.pop("logprobs")]
    assert {
        "text_output": [b"abcab", b"abcab"],
        "finish_reason": [b"length", b"length"],
        "cumulative_logprob": [-1.0, -1.0],
        "num_input_tokens": [3],
        "num_output_tokens": [2, 2],
    } == found
    assert {"97": {"logprob": -0.5, "rank": 1, "decoded_token": "a"}} == logprobs[1][0]


@pytest.mark.parametrize(
    ("values", "parameters", "message"),
    [
        ({"stream": True, "exclude_input_in_output": False}, {}, "exclude_input_in_output"),
        ({"stream": True}, {"temperature": 3.0}, "'temperature' must be a number from 0 to 2"),
        ({"sampling_parameters": "[1]"}, {}, "JSON object"),
        ({"sampling_parameters": '{"beams": 2}'}, {}, "'beams' is no option"),
        ({"sampling_parameters": '{"best_of": 2}'}, {}, "'best_of' is not supported"),
        ({}, {"max_tokens": 1000}, "context is 1000 tokens; the prompt has 3"),
    ],
)
async def test_what_is_no_generation_is_refused(
    tmp_path: Path, values: dict[str, Any], parameters: dict[str, Any], message: str
) -> None:
    """By an error in the stream, which stays open."""
    async with generating(tmp_path) as (replica, _):
        wrong = "wrong", inputs("abc", **values), parameters
        right = "right", inputs("abc", stream=True), {"max_tokens": 1}
        heard = await asyncio.to_thread(_talk, replica.grpc_address, wrong, right)
    assert message in heard[""][0]
    assert ["a", None] == heard["right"]


async def test_a_unary_call_takes_no_stream(tmp_path: Path) -> None:
    """It says what to call instead."""

    def ask(address: str) -> None:
        client = triton.InferenceServerClient(address)
        client.infer(MODEL, inputs("abc", stream=True))

    async with generating(tmp_path) as (replica, _):
        with pytest.raises(InferenceServerException, match="ModelStreamInfer"):
            await asyncio.to_thread(ask, replica.grpc_address)


@pytest.mark.parametrize("front", FRONTS)
async def test_a_cancelled_stream_frees_its_places(tmp_path: Path, front: str) -> None:
    """All its requests end at the next step."""
    async with generating(tmp_path, gated=True, front=front) as (replica, runner):
        stream = await asyncio.to_thread(TritonStream, replica.grpc_address)
        for name in ("one", "two"):
            stream.ask(name, inputs("abc", stream=True))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await until(lambda: runner.engine.load.running == 2)
            runner.engine.step()
            assert ("one", "a", False) == await asyncio.to_thread(stream.next)
            await asyncio.to_thread(stream.client.stop_stream, True)
            await until(lambda: is_idle(replica, runner))
        counts = replica.ingress.book.of(MODEL, 1).totals()
    assert (0, {"CANCELLED": 2}) == (counts.successes, dict(counts.errors))


def is_idle(replica: GrpcReplica, runner: EchoRunner) -> bool:
    """Tell whether nothing runs, and nobody is owed an answer."""
    return not runner.engine.load.running and not replica.ingress.receptions.count


GENERATE = f"/v2/models/{MODEL}/generate"


async def test_generate_streams_events_as_they_come(tmp_path: Path) -> None:
    """The next token is made only when the event of the last was read here."""
    body = {"text_input": "abc", "stream": True, "max_tokens": 3, "id": "7"}
    async with (
        generating(tmp_path, gated=True) as (replica, runner),
        aiohttp.ClientSession(f"http://{replica.http_address}") as session,
    ):
        texts = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            asking = asyncio.create_task(session.post(f"{GENERATE}_stream", json=body))
            runner.engine.step()
            async with await asking as answer:
                assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
                async for line in answer.content:
                    if line.strip():
                        texts.append(json.loads(line.removeprefix(b"data: ")))
                        runner.engine.step()
        counts = replica.ingress.book.of(MODEL, 1).totals()
    head = {"id": "7", "model_name": MODEL, "model_version": "1"}
    assert [head | {"text_output": text} for text in "abc"] == texts
    assert 1 == counts.successes


async def test_generate_answers_with_one_object(tmp_path: Path) -> None:
    """Further members are parameters; a stream without `stream` is one event."""
    body = {"text_input": "abc", "parameters": {"max_tokens": 2}, "return_finish_reason": True}
    async with (
        generating(tmp_path) as (replica, _),
        aiohttp.ClientSession(f"http://{replica.http_address}") as session,
    ):
        async with session.post(GENERATE, json=body) as answer:
            whole = await answer.json()
        async with session.post(f"{GENERATE}_stream", json=body) as answer:
            event = await answer.read()
        async with session.post(GENERATE, json=body | {"stream": True}) as answer:
            refused = answer.status, (await answer.json())["reason"]
    assert ("abcab", "length") == (whole["text_output"], whole["finish_reason"])
    assert whole == json.loads(event.removeprefix(b"data: "))
    assert (501, "STREAM_REQUIRED") == refused


async def test_an_error_in_a_stream_of_events_is_an_event(tmp_path: Path) -> None:
    """Before the first event it has its own status."""
    body = {"text_input": "abc", "stream": True, "max_tokens": 3}
    async with (
        generating(tmp_path) as (replica, runner),
        aiohttp.ClientSession(f"http://{replica.http_address}") as session,
    ):
        runner.engine.fails = failing_after(1)
        async with session.post(f"{GENERATE}_stream", json=body) as answer:
            status, lines = answer.status, (await answer.read()).split(b"\n\n")
        async with session.post(f"{GENERATE}_stream", json=body | {"top_p": 2}) as answer:
            refused = answer.status, (await answer.json())["reason"]
        counts = replica.ingress.book.of(MODEL, 1).totals()
    assert (200, {"error": "unlucky"}) == (status, json.loads(lines[1].removeprefix(b"data: ")))
    assert (400, "PARAMETER_INVALID") == refused
    assert {"RUN_FAILED": 1, "PARAMETER_INVALID": 1} == dict(counts.errors)


async def test_the_replicas_end_is_an_event_too(tmp_path: Path) -> None:
    """A client is told that its text is not whole, in place of a connection that breaks."""
    body = {"text_input": "abc", "stream": True}
    async with (
        generating(tmp_path, gated=True) as (replica, runner),
        aiohttp.ClientSession(f"http://{replica.http_address}") as session,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        asking = asyncio.create_task(session.post(f"{GENERATE}_stream", json=body))
        runner.engine.step()
        async with await asking as answer:
            first = await answer.content.readline()
            replica.ingress.text_streams.end_all(shutting_down())
            rest = await answer.read()
        await until(lambda: is_idle(replica, runner))
        counts = replica.ingress.book.of(MODEL, 1).totals()
    assert b'"text_output":"a"' in first
    assert "shutting down" in json.loads(rest.strip().removeprefix(b"data: "))["error"]
    assert ({"REPLICA_STOPPING": 1}, 0) == (dict(counts.errors), len(replica.ingress.text_streams))


async def test_a_client_that_leaves_a_stream_of_events_frees_its_place(tmp_path: Path) -> None:
    """It counts as one that went."""
    body = {"text_input": "abc", "stream": True}
    async with generating(tmp_path, gated=True) as (replica, runner):
        async with (
            aiohttp.ClientSession(f"http://{replica.http_address}") as session,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            asking = asyncio.create_task(session.post(f"{GENERATE}_stream", json=body))
            runner.engine.step()
            answer = await asking
            await answer.content.readline()
            answer.close()
        await until(lambda: is_idle(replica, runner))
        counts = replica.ingress.book.of(MODEL, 1).totals()
    assert {"CANCELLED": 1} == dict(counts.errors)


async def test_calls_of_text_are_traced(tmp_path: Path) -> None:
    """By the settings of all requests: with their route, what the call says of itself, and their errors."""
    path = tmp_path / "traces"
    options: dict[str, Any] = {"trace_file": path, "trace_level": ("TIMESTAMPS",), "trace_rate": 1}
    facts = CallFacts(model_name=MODEL, wire="openai", parameters={"user": "anna"})
    async with generating(tmp_path, **options) as (replica, runner):
        calls = LanguageCalls(replica.ingress)
        request = GenerationRequest(list(b"abc"), StopConditions(2))
        async with calls.open(facts) as call:
            pieces = [piece async for piece in call.generate(request)]
        runner.engine.fails = failing_after(0)
        with pytest.raises(HeadraceError):
            await _read(calls, facts, request)
    answered, failed = (json.loads(line) for line in path.read_text().splitlines())
    assert pieces
    assert ({"user": "anna"}, "stable") == (answered["parameters"], answered["route"])
    assert len(answered["timestamps"]) > len(failed["timestamps"])
    assert "RUN_FAILED" in json.dumps(failed)


async def _read(calls: LanguageCalls, facts: CallFacts, request: GenerationRequest) -> None:
    async with calls.open(facts) as call:
        async for _ in call.generate(request):
            pass
