"""ONNX Runtime's session options in a Triton config: graph level, custom operators, and parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from headrace.conversion import MAX_THREADS
from headrace.conversion.ranges import MAX_OPERATOR_LIBRARIES
from headrace.type.v1 import serving_config_pb2

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig
    from headrace.type.v1.serving_config_pb2 import ServingConfig

GRAPH_LEVELS: Mapping[int, Any] = {
    -1: serving_config_pb2.GRAPH_OPTIMIZATION_BASIC,
    0: serving_config_pb2.GRAPH_OPTIMIZATION_ALL,
    1: serving_config_pb2.GRAPH_OPTIMIZATION_EXTENDED,
    2: serving_config_pb2.GRAPH_OPTIMIZATION_DISABLED,
}
"""By `optimization.graph.level`, as Triton's ONNX Runtime backend reads it."""

INTRA_OP = "intra_op_thread_count"
INTER_OP = "inter_op_thread_count"
EXECUTION_MODE = "execution_mode"
SEQUENTIAL, PARALLEL = "0", "1"
_NUMBER = re.compile(r"[0-9]{1,9}")

MEM_ARENA = "enable_mem_arena"
MEM_PATTERN = "enable_mem_pattern"
_SWITCHES = {"0": False, "1": True}

ALWAYS_SO: Mapping[str, str] = {"session.use_device_allocator_for_initializers": "0"}
"""Parameters with the value that Headrace gives them anyway."""


def carry_session(left: ModelConfig, taken: ServingConfig) -> None:
    """Take what a serving config's session says."""
    _carry_level(left, taken)
    _carry_threads(left, taken)
    _carry_memory(left, taken)
    _carry_operators(left, taken)
    for name, value in ALWAYS_SO.items():
        if _parameter(left, name) == value:
            del left.parameters[name]


def _carry_level(left: ModelConfig, taken: ServingConfig) -> None:
    if not left.optimization.HasField("graph"):
        return
    level = GRAPH_LEVELS.get(left.optimization.graph.level)
    if level is not None:
        taken.session.graph_optimization = level
        left.optimization.graph.ClearField("level")


def _carry_threads(left: ModelConfig, taken: ServingConfig) -> None:
    """Take thread counts; those across operators count only where operators run in parallel."""
    intra, inter, mode = _threads(left, INTRA_OP), _threads(left, INTER_OP), _mode(left)
    if intra is not None:
        taken.session.intra_op_threads = intra
        del left.parameters[INTRA_OP]
    if mode == PARALLEL and inter is not None:
        taken.session.inter_op_threads = inter
        del left.parameters[INTER_OP]
    if mode == PARALLEL and (inter or 0) <= 1:  # more threads say so by themselves
        taken.session.execution_mode = serving_config_pb2.EXECUTION_MODE_PARALLEL
    if mode is not None:
        del left.parameters[EXECUTION_MODE]


def _mode(left: ModelConfig) -> str | None:
    mode = _parameter(left, EXECUTION_MODE)
    return mode if mode in (SEQUENTIAL, PARALLEL) else None


def _carry_memory(left: ModelConfig, taken: ServingConfig) -> None:
    """Take whether runs keep their memory, and plan it."""
    for name, ours in ((MEM_ARENA, "cpu_memory_arena"), (MEM_PATTERN, "memory_pattern")):
        value = _SWITCHES.get(_parameter(left, name) or "")
        if value is not None:
            setattr(taken.session, ours, value)
            del left.parameters[name]


def _carry_operators(left: ModelConfig, taken: ServingConfig) -> None:
    """Take the names of libraries, not where they lie: that is each service's own folder."""
    names = library_names(left)
    if names and len(names) <= MAX_OPERATOR_LIBRARIES:
        taken.session.custom_operators.extend(names)
        left.model_operations.ClearField("op_library_filename")
        if not left.model_operations.ListFields():
            left.ClearField("model_operations")


def library_names(config: ModelConfig) -> list[str]:
    """The names of the config's libraries of custom operators, without their folders."""
    paths = config.model_operations.op_library_filename
    return list(dict.fromkeys(PurePosixPath(path).name for path in paths))


def _threads(left: ModelConfig, name: str) -> int | None:
    text = _parameter(left, name)
    if text is None or _NUMBER.fullmatch(text) is None:
        return None
    return int(text) if int(text) <= MAX_THREADS else None


def _parameter(left: ModelConfig, name: str) -> str | None:
    # Looking a key up in a map of messages would create it.
    return left.parameters[name].string_value if name in left.parameters else None
