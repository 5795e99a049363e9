"""Trace and log settings: what they show, what they refuse, and that they do what they say."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from headrace.datatypes import Datatype, encode_bytes_elements
from headrace.inference import grpc_service_pb2 as pb
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import ECHO, GOOD, arithmetic, echo

ALL = {"trace_level": ["TIMESTAMPS"], "trace_rate": "1"}


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _root_level() -> Iterator[None]:
    """The process's logging is put back."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@asynccontextmanager
async def opened(folder: Path, front: str = "native", **options: Any) -> AsyncIterator[GrpcReplica]:
    """A replica with two models and a file for traces."""
    options = {"trace_file": folder / "trace.jsonl"} | options
    models = (echo(Datatype.FP32), arithmetic())
    async with open_grpc_replica(folder, *models, front=front, **options) as replica:
        yield replica


def traces_of(folder: Path, name: str = "trace.jsonl") -> list[dict[str, Any]]:
    """What was traced."""
    path = folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def echoed(value: float = 1.0, request_id: str = "") -> Any:
    """A request of the echo."""
    return request("echo-FP32", np.array([value], np.float32), request_id=request_id)


def changes(model: str = "", **settings: list[str]) -> Any:
    """A request for trace settings."""
    message = pb.TraceSettingRequest(model_name=model)
    for key, values in settings.items():
        message.settings[key].value.extend(values)
    return message


async def settings_of(replica: GrpcReplica, message: Any) -> dict[str, list[str]]:
    """The settings that an answer shows."""
    response = await replica.stub.TraceSetting(message)
    return {key: list(value.value) for key, value in response.settings.items()}


async def test_nothing_is_traced_by_default(tmp_path: Path, front: str) -> None:
    """The settings say so, and no file appears."""
    async with opened(tmp_path, front) as replica:
        settings = await settings_of(replica, changes())
        await replica.stub.ModelInfer(echoed())

    assert {
        "trace_file": [str(tmp_path / "trace.jsonl")],
        "trace_level": ["OFF"],
        "trace_rate": ["1000"],
        "trace_count": ["-1"],
        "log_frequency": ["0"],
        "trace_mode": ["triton"],
    } == settings
    assert [] == traces_of(tmp_path)


async def test_a_trace_has_its_stages_in_order(tmp_path: Path, front: str) -> None:
    """Timestamps by Triton's names, the request's id and parameters, and the version that ran."""
    message = echoed(request_id="r7")
    message.parameters["tenant"].string_param = "a"
    async with opened(tmp_path, front) as replica:
        await replica.stub.TraceSetting(changes(trace_level=["TIMESTAMPS"], trace_rate=["1"]))
        for _ in range(3):
            await replica.stub.ModelInfer(message)

    traces = traces_of(tmp_path)
    assert [("r7", {"tenant": "a"}, "echo-FP32", "1")] * 3 == [
        (t["request_id"], t["parameters"], t["model_name"], t["model_version"]) for t in traces
    ]
    names = [stage["name"] for stage in traces[0]["timestamps"]]
    times = [stage["ns"] for stage in traces[0]["timestamps"]]
    assert names == [
        "REQUEST_START",
        "QUEUE_START",
        "COMPUTE_START",
        "COMPUTE_INPUT_END",
        "COMPUTE_OUTPUT_START",
        "REQUEST_END",
    ]
    assert sorted(times) == times


async def test_tensors_are_traced_where_asked_for(tmp_path: Path, front: str) -> None:
    """Names, datatypes, shapes and values of inputs and outputs, in JSON."""
    async with opened(tmp_path, front) as replica:
        await replica.stub.TraceSetting(changes(trace_level=["TENSORS"], trace_rate=["1"]))
        await replica.stub.ModelInfer(echoed(float("nan")))

    (trace,) = traces_of(tmp_path)
    tensor = {"datatype": "FP32", "shape": [1], "data": ["nan"], "left_out": 0}
    assert [{"name": "x"} | tensor] == trace["inputs"]
    assert [{"name": "y"} | tensor] == trace["outputs"]
    assert "timestamps" not in trace


@pytest.mark.parametrize("texts", [["ab"] * 100, ["é", "abc"] * 50, ["a"]])
async def test_texts_are_traced_as_they_are(tmp_path: Path, texts: list[str]) -> None:
    """Whatever array they are held in on their way."""
    file = tmp_path / "trace.jsonl"
    message = request("echo-BYTES", np.array(texts), "BYTES")
    message.raw_input_contents[0] = encode_bytes_elements(np.array(texts))
    async with open_grpc_replica(tmp_path, echo(Datatype.BYTES), trace_file=file) as replica:
        await replica.stub.TraceSetting(changes(trace_level=["TENSORS"], trace_rate=["1"]))
        await replica.stub.ModelInfer(message)

    (trace,) = traces_of(tmp_path)
    for tensor in (*trace["inputs"], *trace["outputs"]):
        assert (texts, 0) == (tensor["data"], tensor["left_out"])


async def test_rate_and_count_bound_what_is_traced(tmp_path: Path, front: str) -> None:
    """One of every three is traced, two in all, and the settings show what is left."""
    async with opened(tmp_path, front) as replica:
        wanted = changes(trace_level=["TIMESTAMPS"], trace_rate=["3"], trace_count=["2"])
        await replica.stub.TraceSetting(wanted)
        for index in range(10):
            await replica.stub.ModelInfer(echoed(request_id=str(index)))
        settings = await settings_of(replica, changes())

    assert ["2", "5"] == [trace["request_id"] for trace in traces_of(tmp_path)]
    assert ["0"] == settings["trace_count"]


async def test_a_frequency_begins_new_files(tmp_path: Path) -> None:
    """So many traces go into each."""
    async with opened(tmp_path) as replica:
        wanted = changes(trace_level=["TIMESTAMPS"], trace_rate=["1"], log_frequency=["2"])
        await replica.stub.TraceSetting(wanted)
        for _ in range(5):
            await replica.stub.ModelInfer(echoed())

    assert [2, 2, 1] == [len(traces_of(tmp_path, f"trace.jsonl.{n}")) for n in range(3)]


async def test_a_model_has_settings_of_its_own_until_they_are_cleared(tmp_path: Path) -> None:
    """Others keep those of all; an empty value takes a model's back."""
    async with opened(tmp_path) as replica:
        await replica.stub.TraceSetting(changes("echo-FP32", trace_level=["TIMESTAMPS"]))
        own = await settings_of(replica, changes("echo-FP32", trace_rate=["1"]))
        others = await settings_of(replica, changes("arithmetic"))
        await replica.stub.ModelInfer(echoed())
        cleared = await settings_of(replica, changes("echo-FP32", trace_level=[], trace_rate=[]))
        await replica.stub.ModelInfer(echoed())

    assert (["TIMESTAMPS"], ["1"]) == (own["trace_level"], own["trace_rate"])
    assert (["OFF"], ["1000"]) == (others["trace_level"], others["trace_rate"])
    assert others == cleared
    assert 1 == len(traces_of(tmp_path))


async def test_failures_are_traced_with_their_reason(tmp_path: Path, front: str) -> None:
    """A request that its version could not answer has a trace, too."""
    message = echoed()
    message.inputs[0].shape[0] = 1_000_001
    message.raw_input_contents[0] = bytes(4_000_004)
    message.outputs.add(name="y").parameters["classification"].int64_param = 1
    async with opened(tmp_path, front, trace_level=("TIMESTAMPS",), trace_rate=1) as replica:
        await failure_of(replica.stub.ModelInfer(message))

    expected = [("echo-FP32", "CLASSIFICATION_TOO_LARGE")]
    assert expected == [(trace["model_name"], trace["error"]) for trace in traces_of(tmp_path)]


async def test_streams_and_rest_are_traced(tmp_path: Path, front: str) -> None:
    """Whichever way a request comes; matching headers are among its parameters."""
    options: dict[str, Any] = {
        "trace_level": ("TIMESTAMPS",),
        "trace_rate": 1,
        "grpc_header_forward_pattern": "x-tenant|x-b.*",
        "http_header_forward_pattern": "x-tenant",
    }
    metadata = (("x-tenant", "a"), ("x-other", "b"))
    async with opened(tmp_path, front, **options) as replica:
        await replica.stub.ModelInfer(echoed(request_id="unary"), metadata=metadata)
        stream = replica.stub.ModelStreamInfer(_once(echoed(request_id="s")), metadata=metadata)
        assert 1 == len([message async for message in stream])
        async with aiohttp.ClientSession() as session:
            url = f"http://{replica.http_address}{ECHO}"
            async with session.post(url, json=GOOD, headers={"X-Tenant": "a", "X-B": "b"}) as got:
                assert 200 == got.status

    assert [("unary", {"x-tenant": "a"}), ("s", {"x-tenant": "a"}), ("", {"x-tenant": "a"})] == [
        (trace["request_id"], trace["parameters"]) for trace in traces_of(tmp_path)
    ]


async def _once(message: Any) -> AsyncIterator[Any]:
    yield message


@pytest.mark.parametrize(
    ("settings", "code", "reason"),
    [
        ({"trace_level": ["ALL"]}, "INVALID_ARGUMENT", "SETTING_INVALID"),
        ({"trace_rate": ["0"]}, "INVALID_ARGUMENT", "SETTING_INVALID"),
        ({"trace_rate": ["x"]}, "INVALID_ARGUMENT", "SETTING_INVALID"),
        ({"trace_rate": ["1", "2"]}, "INVALID_ARGUMENT", "SETTING_INVALID"),
        ({"trace_rate": ["9" * 400]}, "INVALID_ARGUMENT", "SETTING_INVALID"),
        ({"trace_count": ["-2"]}, "INVALID_ARGUMENT", "SETTING_INVALID"),
        ({"trace_colour": ["red"]}, "INVALID_ARGUMENT", "SETTING_INVALID"),
        ({"trace_file": ["/tmp/x"]}, "UNIMPLEMENTED", "SETTING_READ_ONLY"),
    ],
)
async def test_trace_settings_that_cannot_be(
    tmp_path: Path, settings: dict[str, list[str]], code: str, reason: str
) -> None:
    """Each with its status, and nothing changes."""
    async with opened(tmp_path) as replica:
        before = await settings_of(replica, changes())
        failure = await failure_of(replica.stub.TraceSetting(changes("", **settings)))
        assert before == await settings_of(replica, changes())

    assert (code, reason) == failure[:2]


async def test_settings_of_an_unknown_model(tmp_path: Path) -> None:
    """They are the caller's error, in Triton's words."""
    async with opened(tmp_path) as replica:
        failure = await failure_of(replica.stub.TraceSetting(changes("unknown")))

    assert ("INVALID_ARGUMENT", "MODEL_UNKNOWN", "Request for unknown model : unknown") == failure


async def test_without_a_file_nothing_can_be_traced(tmp_path: Path) -> None:
    """The refusal names the setting."""
    async with opened(tmp_path, trace_file=None) as replica:
        failure = await failure_of(replica.stub.TraceSetting(changes(trace_level=["TENSORS"])))

    assert ("FAILED_PRECONDITION", "TRACE_FILE_MISSING") == failure[:2]


def _with_clients(replica: GrpcReplica) -> list[Any]:
    seen = []
    clients = (
        triton_grpc.InferenceServerClient(replica.grpc_address),
        triton_http.InferenceServerClient(replica.http_address),
    )
    for client in clients:
        client.update_trace_settings("echo-FP32", {"trace_rate": "7", "trace_count": None})
        seen.append(client.get_trace_settings("echo-FP32"))
        client.update_log_settings({"log_verbose_level": 1, "log_info": False})
        seen.append(client.get_log_settings())
        client.update_log_settings({"log_verbose_level": 0, "log_info": True})
        with pytest.raises(InferenceServerException, match="log file location"):
            client.update_log_settings({"log_file": "/tmp/log"})
        client.close()
    return seen


async def test_tritons_clients_read_and_write_settings(tmp_path: Path) -> None:
    """Both clients, unmodified."""
    async with opened(tmp_path) as replica:
        grpc_trace, grpc_log, http_trace, http_log = await asyncio.to_thread(_with_clients, replica)

    assert ["7"] == list(grpc_trace.settings["trace_rate"].value)
    assert "7" == http_trace["trace_rate"]
    assert {
        "log_file": "",
        "log_info": False,
        "log_warning": True,
        "log_error": True,
        "log_verbose_level": 1,
        "log_format": "default",
    } == http_log
    assert (False, 1) == (
        grpc_log.settings["log_info"].bool_param,
        grpc_log.settings["log_verbose_level"].uint32_param,
    )


class Collecting(logging.Handler):
    """A handler of the process that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


def log_changes(**settings: Any) -> Any:
    """A request for log settings."""
    message = pb.LogSettingsRequest()
    for key, value in settings.items():
        kinds = {bool: "bool_param", int: "uint32_param", str: "string_param"}
        setattr(message.settings[key], kinds[type(value)], value)
    return message


async def test_log_settings_change_what_the_process_logs(tmp_path: Path) -> None:
    """Each severity has its switch, and at the end all is as it was."""
    root, handler = logging.getLogger(), Collecting()
    logger = logging.getLogger("headrace_inference.test")
    before = root.level
    root.addHandler(handler)
    try:
        async with opened(tmp_path) as replica:
            for settings in (
                {"log_verbose_level": 1, "log_warning": False},
                {"log_verbose_level": 0, "log_info": False, "log_warning": True},
                {"log_warning": False, "log_error": False},
            ):
                await replica.stub.LogSettings(log_changes(**settings))
                handler.seen.append("--")
                for level in ("debug", "info", "warning", "error"):
                    getattr(logger, level)(level)
    finally:
        root.removeHandler(handler)

    told = [text for text in handler.seen if text in ("--", "debug", "info", "warning", "error")]
    assert ["--", "debug", "info", "error", "--", "warning", "error", "--"] == told
    assert before == root.level


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"log_colour": True}, "INVALID_ARGUMENT"),
        ({"log_info": 1}, "INVALID_ARGUMENT"),
        ({"log_verbose_level": True}, "INVALID_ARGUMENT"),
        ({"log_file": "/tmp/log"}, "UNIMPLEMENTED"),
        ({"log_format": "ISO8601"}, "UNIMPLEMENTED"),
    ],
)
async def test_log_settings_that_cannot_be(
    tmp_path: Path, settings: dict[str, Any], code: str
) -> None:
    """Each with its status."""
    async with opened(tmp_path) as replica:
        failure = await failure_of(replica.stub.LogSettings(log_changes(**settings)))

    assert code == failure[0]


async def test_the_server_tells_the_name_that_it_was_given(tmp_path: Path, front: str) -> None:
    """Some programs that were written for Triton go on only with a server of that name."""
    async with open_grpc_replica(tmp_path, front=front, server_name="triton") as replica:
        about = await replica.stub.ServerMetadata(pb.ServerMetadataRequest())
    assert "triton" == about.name
