"""Makes requests that one replica sends another: what a caller asked of all that share a port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.extensions.log_settings import Value
from headrace_inference.domain.reconciliation.model_control import LoadRequest
from headrace_inference.wire.codec.messages import FILE_PREFIX


def load_message(request: LoadRequest) -> pb.RepositoryModelLoadRequest:
    """A model to load."""
    message = pb.RepositoryModelLoadRequest(model_name=request.name)
    if request.config is not None:
        message.parameters["config"].string_param = request.config
    for path, data in request.files.items():
        message.parameters[FILE_PREFIX + path].bytes_param = data
    return message


def trace_message(model: str, changes: Mapping[str, Sequence[str]]) -> pb.TraceSettingRequest:
    """Changes of what is traced; an empty list takes a setting back."""
    message = pb.TraceSettingRequest(model_name=model)
    for key, values in changes.items():
        message.settings[key].value.extend(values)
    return message


def log_message(changes: Mapping[str, Value | None]) -> pb.LogSettingsRequest:
    """Changes of what is logged; None is no value."""
    message = pb.LogSettingsRequest()
    for key, value in changes.items():
        setting = message.settings[key]
        if isinstance(value, bool):
            setting.bool_param = value
        elif isinstance(value, int):
            setting.uint32_param = value
        elif value is not None:
            setting.string_param = value
    return message
