"""The other methods of the protocol, streams, health and reflection: hostile names, settings and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from headrace.inference import grpc_service_pb2 as pb
from tests.hostile.messages import OUTPUTS, field, request, tensor
from tests.hostile.target import CALL_SECONDS, MIB, Target

pytestmark = pytest.mark.e2e

SERVICE = "/inference.GRPCInferenceService/"
MALFORMED = "INVALID_ARGUMENT MALFORMED_REQUEST"
NO_MODEL = "NOT_FOUND MODEL_NOT_FOUND"
BY_REGISTRY = "UNAVAILABLE MODEL_CONTROL_REGISTRY"
NO_SHARED_MEMORY = "UNIMPLEMENTED SHARED_MEMORY_DISABLED"
WRONG_PARAMETER = "INVALID_ARGUMENT PARAMETER_INVALID"

NAMES = {
    "nul": "sca\0le",
    "dots": "../..",
    "unicode": "模型",
    "1 MiB": "a" * MIB,
}
METHODS = {
    "ModelReady": (1, NO_MODEL),
    "ModelMetadata": (1, NO_MODEL),
    "ModelConfig": (1, NO_MODEL),
    "ModelStatistics": (1, NO_MODEL),
    "TraceSetting": (2, "INVALID_ARGUMENT MODEL_UNKNOWN"),
    "RepositoryModelLoad": (2, BY_REGISTRY),
    "RepositoryModelUnload": (2, BY_REGISTRY),
    "SystemSharedMemoryStatus": (1, NO_SHARED_MEMORY),
    "SystemSharedMemoryRegister": (1, NO_SHARED_MEMORY),
    "SystemSharedMemoryUnregister": (1, NO_SHARED_MEMORY),
    "CudaSharedMemoryRegister": (1, NO_SHARED_MEMORY),
}

SETTINGS = {
    "log_file": ("LogSettings", (3, "/etc/passwd"), "UNIMPLEMENTED SETTING_READ_ONLY"),
    "log_none": ("LogSettings", (3, "x"), "INVALID_ARGUMENT SETTING_INVALID"),
    "trace_file": ("TraceSetting", (1, "/etc/passwd"), "UNIMPLEMENTED SETTING_READ_ONLY"),
    "trace_rate": ("TraceSetting", (1, "-5"), "INVALID_ARGUMENT SETTING_INVALID"),
}


def _parameters(**parameters: int | str | bool) -> bytes:
    """The parameters of an output asked for, as the fields that they are."""
    output = pb.ModelInferRequest.InferRequestedOutputTensor()
    kinds = {int: "int64_param", str: "string_param", bool: "bool_param"}
    for key, value in parameters.items():
        setattr(output.parameters[key], kinds[type(value)], value)
    return bytes(output.SerializeToString())


WISHES = {
    "no class": _parameters(classification=0),
    "-1 classes": _parameters(classification=-1),
    "classes in words": _parameters(classification="two"),
    "a region without a size": _parameters(shared_memory_region="r"),
    "a size without a region": _parameters(shared_memory_byte_size=8),
    "an offset without a region": _parameters(shared_memory_offset=8),
    "a negative offset": _parameters(
        shared_memory_region="r", shared_memory_byte_size=8, shared_memory_offset=-8
    ),
    "a negative size": _parameters(shared_memory_region="r", shared_memory_byte_size=-8),
    "a region that is a number": _parameters(shared_memory_region=7, shared_memory_byte_size=8),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_name(target: Target, method: str, name: str) -> None:
    """A name that is none leads nowhere."""
    number, expected = METHODS[method]
    assert expected == target.call("inference", SERVICE + method, field(number, name))


@pytest.mark.parametrize("method", [*METHODS, "RepositoryIndex", "LogSettings", "ServerLive"])
def test_bytes(target: Target, method: str) -> None:
    """Bytes that are no message are the caller's mistake."""
    assert MALFORMED == target.call("inference", SERVICE + method, b"\xff\xff")


@pytest.mark.parametrize("setting", SETTINGS)
def test_setting(target: Target, setting: str) -> None:
    """No caller says where the replica writes, or sets what is none."""
    method, (number, value), expected = SETTINGS[setting]
    entry = field(1, setting) + field(2, field(number, value))
    assert expected == target.call("inference", SERVICE + method, field(1, entry))


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
def test_output(target: Target, wish: bytes) -> None:
    """An output cannot be asked for in a way that makes no sense."""
    asked = request(extra=field(OUTPUTS, field(1, "y") + wish))
    assert WRONG_PARAMETER == target.infer(asked)


def test_shared_memory_that_is_off(target: Target) -> None:
    """Shared memory is off by default: a request cannot make the replica read any."""
    region = _parameters(shared_memory_region="/etc", shared_memory_byte_size=8)
    parameters = region.replace(b"\x12", b"\x22")  # field 2 of an output is field 4 of an input
    outcome = target.infer(request(inputs=[tensor(extra=parameters)], raw=[]))
    assert "INVALID_ARGUMENT" == outcome.split()[0]


ELSEWHERE: list[tuple[str, bytes | list[bytes], str]] = [
    ("/inference.GRPCInferenceService/Nope", b"", "UNIMPLEMENTED"),
    ("/grpc.health.v1.Health/Check", field(1, "a" * MIB), "NOT_FOUND"),
    ("/grpc.health.v1.Health/Check", b"\xff", MALFORMED),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", [b"\xff"], MALFORMED),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        [field(3, "../../etc/passwd"), field(4, "\0"), field(4, "a" * MIB)],
        "OK",
    ),
]


@pytest.mark.parametrize(("method", "sent", "expected"), ELSEWHERE)
def test_elsewhere(target: Target, method: str, sent: Any, expected: str) -> None:
    """Health and reflection take no harm, either."""
    assert expected == target.call("inference", method, sent)


STREAMS: dict[str, tuple[Sequence[bytes], list[str]]] = {
    "nothing": ([], []),
    "garbage": ([b"\xff"], ["the request's bytes are not"]),
    "garbage, then good": ([b"\xff", request()], ["the request's bytes are not", ""]),
    "bad between good": (
        [request(), request("nope"), request(raw=[]), request()],
        ["", "Request for unknown model: 'nope'", "unable to find data for input", ""],
    ),
    "a name of 1 MiB": ([request("a" * MIB)], ["Request for unknown model: 'aaa"]),
    "a million fields": (
        [request(extra=field(OUTPUTS, b"") * 1_000_000)],
        ["the request has more"],
    ),
}


@pytest.mark.parametrize(("sent", "expected"), STREAMS.values(), ids=STREAMS)
def test_stream(target: Target, sent: Sequence[bytes], expected: list[str]) -> None:
    """A bad request on a stream fails alone, in its place."""
    stream = target.channels["inference"].stream_stream(SERVICE + "ModelStreamInfer")
    answers = stream(iter(sent), timeout=CALL_SECONDS)
    errors = [pb.ModelStreamInferResponse.FromString(answer).error_message for answer in answers]
    assert len(expected) == len(errors)
    for beginning, error in zip(expected, errors, strict=True):
        assert error.startswith(beginning)
        assert bool(error) == bool(beginning)


def test_a_stream_that_wants_statuses(target: Target) -> None:
    """With triton_grpc_error a bad request ends the stream with the status it has elsewhere."""
    stream = target.channels["inference"].stream_stream(SERVICE + "ModelStreamInfer")
    wanted = [("triton_grpc_error", "true")]
    with pytest.raises(grpc.RpcError) as raised:
        list(stream(iter([request("nope")]), timeout=CALL_SECONDS, metadata=wanted))
    code: Any = raised.value
    assert "NOT_FOUND" == code.code().name
