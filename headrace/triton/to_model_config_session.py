"""A serving config's session and provider options in Triton's words, as far as Triton has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from headrace.state.records import ExecutionMode, GraphOptimization, Provider, ServingConfig
from headrace.triton.to_serving_config_providers import CUDA, TENSORRT
from headrace.triton.to_serving_config_session import (
    EXECUTION_MODE,
    INTER_OP,
    INTRA_OP,
    MEM_ARENA,
    MEM_PATTERN,
    PARALLEL,
)

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig

_LEVELS = {
    GraphOptimization.BASIC: -1,
    GraphOptimization.EXTENDED: 1,
    GraphOptimization.DISABLED: 2,
}


def add_session(message: ModelConfig, config: ServingConfig) -> None:
    """Say what Triton's ONNX Runtime backend knows."""
    session = config.session
    if session.graph_optimization in _LEVELS:
        message.optimization.graph.level = _LEVELS[session.graph_optimization]
    for name, value in _parameters(config).items():
        message.parameters[name].string_value = value
    message.model_operations.op_library_filename.extend(session.custom_operators)
    if not session.custom_operators:
        message.ClearField("model_operations")
    if config.provider is Provider.TENSORRT:
        _add_accelerator(message, TENSORRT, config.provider_options.get(Provider.TENSORRT, {}))
    told = config.provider_options.get(Provider.CUDA, {})
    if told and config.provider is not Provider.CPU:
        _add_accelerator(message, CUDA, told)


def unsaid(config: ServingConfig) -> Iterator[str]:
    """The fields that are set and that Triton has no word for."""
    session = config.session
    if session.free_dimensions:
        yield "session.free_dimensions"
    if session.io_binding is not None:
        yield "session.io_binding"
    if config.provider_options.get(Provider.CPU):
        yield "provider_options.cpu"
    if config.batching.latency_objective_microseconds:
        yield "batching.latency_objective"
    if config.queue.max_wait_microseconds is not None:
        yield "queue.max_wait"


def _parameters(config: ServingConfig) -> dict[str, str]:
    session = config.session
    said = {}
    if session.intra_op_threads:
        said[INTRA_OP] = str(session.intra_op_threads)
    if _is_parallel(config):
        said[EXECUTION_MODE] = PARALLEL
        said |= {INTER_OP: str(session.inter_op_threads)} if session.inter_op_threads else {}
    if not session.cpu_memory_arena:
        said[MEM_ARENA] = "0"
    if not session.memory_pattern:
        said[MEM_PATTERN] = "0"
    return said


def _is_parallel(config: ServingConfig) -> bool:
    mode = config.session.execution_mode
    threads = config.session.inter_op_threads
    return mode is ExecutionMode.PARALLEL or (mode is ExecutionMode.AUTO and threads > 1)


def _add_accelerator(message: ModelConfig, name: str, options: Mapping[str, str]) -> None:
    accelerators = message.optimization.execution_accelerators.gpu_execution_accelerator
    accelerators.add(name=name, parameters=options)
