"""The parameters of a request, of its inputs and of its outputs: which keys there are, and their kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headrace.errors import InvalidArgument
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.routing.request_texts import Parameter
from headrace_inference.domain.scheduling.requests import (
    BACKGROUND,
    NO_OPTIONS,
    Options,
    OutputOptions,
    SharedMemorySlice,
)

_REGION, _SIZE, _OFFSET = (
    "shared_memory_region",
    "shared_memory_byte_size",
    "shared_memory_offset",
)
_CLASSES = "classification"
BACKGROUND_KEY = "headrace_background"
"""A request that asks for it runs when no others wait."""

Tensor = pb.ModelInferRequest.InferInputTensor | pb.ModelInferRequest.InferRequestedOutputTensor
"""An input, or an output that is asked for: both may be in shared memory."""

_KINDS: dict[str, tuple[str, ...]] = {
    "priority": ("uint64_param", "int64_param"),
    "timeout": ("int64_param",),
    BACKGROUND_KEY: ("bool_param",),
    "sequence_id": ("int64_param", "string_param", "uint64_param"),
    "sequence_start": ("bool_param",),
    "sequence_end": ("bool_param",),
    "triton_enable_empty_final_response": ("bool_param",),
}
_TENSOR_KINDS: dict[str, tuple[str, ...]] = {
    _REGION: ("string_param",),
    _SIZE: ("int64_param",),
    _OFFSET: ("int64_param",),
    _CLASSES: ("int64_param",),
}


def parameters_of(message: pb.ModelInferRequest) -> dict[str, Parameter]:
    """The parameters of a request by key, once they were found to be allowed. Raises InvalidArgument."""
    values: dict[str, Parameter] = {}
    for key, parameter in message.parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if key in _KINDS:
            _check_kind(key, kind, _KINDS[key])
        elif (
            kind == "uint64_param"
        ):  # Triton hands custom ones to models, and has no such type there
            _check_kind(key, kind, ("bool_param", "int64_param", "string_param", "double_param"))
        values[key] = getattr(parameter, kind) if kind else None
    refuse_reserved(key for key in values if key not in _KINDS)
    return values


def refuse_reserved(keys: Iterable[str]) -> None:
    """Refuse keys that the protocol keeps for itself, as Triton's own clients expect."""
    for key in keys:
        if key.startswith("triton_"):
            raise InvalidArgument(
                "PARAMETER_RESERVED",
                f"parameter keys starting with 'triton_' are reserved: '{key}'",
            )


def options_of(
    parameters: Mapping[str, Parameter], output_options: Sequence[OutputOptions]
) -> Options:
    """Return what a request asks for beside its inputs and outputs. Raises InvalidArgument."""
    priority = _integer(parameters, "priority") or 0
    timeout_us = _integer(parameters, "timeout") or 0
    for key, value in (("priority", priority), ("timeout", timeout_us)):
        if value < 0:
            raise _invalid(key, f"invalid value for '{key}' parameter, expected >= 0, got {value}")
    if parameters.get(BACKGROUND_KEY):
        priority = BACKGROUND
    is_plain = all(one == OutputOptions() for one in output_options)
    options = Options(priority, timeout_us, None if is_plain else tuple(output_options))
    return NO_OPTIONS if options == NO_OPTIONS else options


def window_of(tensor: Tensor, what: str) -> SharedMemorySlice | None:
    """The stretch of shared memory that an input or output names. Raises InvalidArgument."""
    if not tensor.parameters:
        return None
    values = _tensor_parameters(tensor)
    region = values.get(_REGION)
    named = region if isinstance(region, str) else None
    return window(named, _integer(values, _SIZE), _integer(values, _OFFSET), what)


def output_options_of(output: pb.ModelInferRequest.InferRequestedOutputTensor) -> OutputOptions:
    """Return how an output is wanted. Raises InvalidArgument."""
    if not output.parameters:
        return OutputOptions()
    window = window_of(output, f"output '{output.name}'")
    return checked_output_options(_integer(_tensor_parameters(output), _CLASSES), window)


def window(
    region: str | None, size: int | None, offset: int | None, what: str
) -> SharedMemorySlice | None:
    """The window that these parameters stand for, None without a region. Raises InvalidArgument."""
    if not region:
        if size is not None or offset is not None:
            key = _SIZE if size is not None else _OFFSET
            raise _invalid(key, f"'{key}' of {what} can not be specified without '{_REGION}'")
        return None
    if size is None:
        raise _invalid(_SIZE, f"'{_SIZE}' must be specified along with '{_REGION}' for {what}")
    if size < 0 or (offset or 0) < 0:
        raise _invalid(_SIZE, f"'{_SIZE}' and '{_OFFSET}' of {what} must not be negative")
    return SharedMemorySlice(region, size, offset or 0)


def checked_output_options(classes: int | None, window: SharedMemorySlice | None) -> OutputOptions:
    """The options that these parameters stand for. Raises InvalidArgument."""
    if classes is not None and classes < 1:
        raise _invalid(
            _CLASSES, f"invalid value for '{_CLASSES}' parameter, expected > 0, got {classes}"
        )
    return OutputOptions(classes or 0, window)


def _integer(values: Mapping[str, Parameter], key: str) -> int | None:
    """A value whose kind was checked."""
    value = values.get(key)
    return value if isinstance(value, int) else None


def _tensor_parameters(tensor: Tensor) -> dict[str, Parameter]:
    values: dict[str, Parameter] = {}
    for key, parameter in tensor.parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if key in _TENSOR_KINDS:
            _check_kind(key, kind, _TENSOR_KINDS[key])
        values[key] = getattr(parameter, kind) if kind else None
    return values


def _check_kind(key: str, kind: str | None, allowed: Sequence[str]) -> None:
    if kind not in allowed:
        raise _invalid(
            key,
            f"invalid value type for '{key}' parameter, expected {' or '.join(allowed)}, got {kind}",
        )


def _invalid(key: str, message: str) -> InvalidArgument:
    return InvalidArgument("PARAMETER_INVALID", message, facts={"parameter": key})
