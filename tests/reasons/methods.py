"""Refusals of a replica's other methods, over gRPC and REST, by the reason that they are told."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from headrace.inference import grpc_service_pb2 as pb
from tests.rpc.test_inference_model_control import config, graph, load, scaling


class Method(NamedTuple):
    """A call, and the HTTP request that asks for the same, where there is one."""

    kind: str
    reason: str
    method: str = ""
    message: Any = None
    verb: str = ""
    path: str = ""
    body: Any = None


def _logging(**settings: Any) -> Any:
    message = pb.LogSettingsRequest()
    for name, value in settings.items():
        message.settings[name].string_param = value
    return message


def _tracing(model: str = "", **settings: list[str]) -> Any:
    message = pb.TraceSettingRequest(model_name=model)
    for name, values in settings.items():
        message.settings[name].value.extend(values)
    return message


def _region(name: str, key: str) -> Any:
    return pb.SystemSharedMemoryRegisterRequest(name=name, key=key, byte_size=64)


REGION = "/v2/systemsharedmemory/region"

PLAIN: tuple[Method, ...] = (
    Method(
        "NotFound",
        "MODEL_NOT_FOUND",
        "ModelMetadata",
        pb.ModelMetadataRequest(name="nobody"),
        "GET",
        "/v2/models/nobody",
    ),
    Method(
        "InvalidArgument",
        "MODEL_UNKNOWN",
        "TraceSetting",
        _tracing("nobody"),
        "GET",
        "/v2/models/nobody/trace/setting",
    ),
    Method(
        "InvalidArgument",
        "SETTING_INVALID",
        "LogSettings",
        _logging(log_info="maybe"),
        "POST",
        "/v2/logging",
        {"log_info": "maybe"},
    ),
    Method(
        "Unimplemented",
        "SETTING_READ_ONLY",
        "LogSettings",
        _logging(log_file="x"),
        "POST",
        "/v2/logging",
        {"log_file": "x"},
    ),
    Method(
        "FailedPrecondition",
        "TRACE_FILE_MISSING",
        "TraceSetting",
        _tracing(trace_level=["TIMESTAMPS"]),
        "POST",
        "/v2/trace/setting",
        {"trace_level": ["TIMESTAMPS"]},
    ),
    Method(
        "Unavailable",
        "MODEL_CONTROL_REGISTRY",
        "RepositoryModelLoad",
        load(),
        "POST",
        "/v2/repository/models/local/load",
        {},
    ),
    Method(
        "Unimplemented",
        "REPOSITORY_UNSUPPORTED",
        "RepositoryModelLoad",
        pb.RepositoryModelLoadRequest(repository_name="other", model_name="m"),
    ),
    Method(
        "Unimplemented",
        "SHARED_MEMORY_DISABLED",
        "SystemSharedMemoryRegister",
        _region("r", "/x"),
        "POST",
        f"{REGION}/r/register",
        {"key": "/x", "byte_size": 64},
    ),
    Method(
        "FailedPrecondition",
        "VERSION_NOT_READY",
        verb="GET",
        path="/v2/models/echo-FP32/versions/2/ready",
    ),
    Method(
        "InvalidArgument",
        "MALFORMED_REQUEST",
        verb="POST",
        path="/v2/repository/models/m/load",
        body=[],
    ),
)
"""Of a replica as it is by default."""

REGIONS: tuple[Method, ...] = (
    Method(
        "AlreadyExists",
        "REGION_EXISTS",
        "SystemSharedMemoryRegister",
        _region("taken", "/headrace-other"),
        "POST",
        f"{REGION}/taken/register",
        {"key": "/headrace-other", "byte_size": 64},
    ),
    Method(
        "InvalidArgument",
        "REGION_INVALID",
        "SystemSharedMemoryRegister",
        _region("r", "/headrace-not-there"),
        "POST",
        f"{REGION}/r/register",
        {"key": "/headrace-not-there", "byte_size": 64},
    ),
    Method(
        "NotFound",
        "REGION_NOT_FOUND",
        "SystemSharedMemoryStatus",
        pb.SystemSharedMemoryStatusRequest(name="q"),
        "GET",
        f"{REGION}/q/status",
    ),
    Method(
        "Unavailable",
        "CUDA_UNAVAILABLE",
        "CudaSharedMemoryRegister",
        pb.CudaSharedMemoryRegisterRequest(name="c", raw_handle=bytes(64), byte_size=64),
        "POST",
        "/v2/cudasharedmemory/region/c/register",
        {"raw_handle": {"b64": "AAAA"}, "device_id": 0, "byte_size": 64},
    ),
)
"""Of one that takes shared memory, and has the region `taken`."""


SAMPLE = {
    "name": "day",
    "inputs": {"x": {"dataType": "TYPE_FP32", "dims": [2], "inputDataFile": "day/row"}},
}
"""Whose file does not come along."""


EXPLICIT: tuple[Method, ...] = (
    Method(
        "FailedPrecondition",
        "MODEL_REGISTERED",
        "RepositoryModelLoad",
        load("echo-FP32", config(name="echo-FP32"), graph(1, scaling(2))),
    ),
    Method(
        "InvalidArgument",
        "MODEL_NAME_INVALID",
        "RepositoryModelLoad",
        load("-", config(name="-"), graph(1, scaling(2))),
    ),
    Method(
        "InvalidArgument",
        "MODEL_FILES_INVALID",
        "RepositoryModelLoad",
        load(text=config(name="another"), files=graph(1, scaling(2))),
    ),
    Method(
        "InvalidArgument",
        "LOAD_FAILED",
        "RepositoryModelLoad",
        load(text=config(max_batch_size=4, model_warmup=[SAMPLE]), files=graph(1, scaling(2))),
    ),
    Method(
        "InvalidArgument",
        "TRITON_BACKEND_UNSUPPORTED",
        "RepositoryModelLoad",
        load(text=json.dumps({"name": "local", "backend": "python"}), files=graph(1, scaling(2))),
    ),
    Method(
        "NotFound",
        "MODEL_NOT_FOUND",
        "RepositoryModelLoad",
        load("nobody"),
        "POST",
        "/v2/repository/models/nobody/load",
        {},
    ),
)
"""Of one whose callers load models."""

UNREADY: tuple[Method, ...] = (
    Method("FailedPrecondition", "SERVER_NOT_READY", verb="GET", path="/v2/health/ready"),
)
"""Of a replica that is not ready."""
