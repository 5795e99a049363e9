"""ONNX Runtime's session options in a Triton config: the graph's optimisation level, and parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace.conversion import MAX_THREADS
from headrace.type.v1 import serving_config_pb2

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
PARALLEL = "1"
_NUMBER = re.compile(r"[0-9]{1,9}")

ALWAYS_SO: Mapping[str, str] = {
    "enable_mem_arena": "1",
    "enable_mem_pattern": "1",
    "session.use_device_allocator_for_initializers": "0",
    "cudnn_conv_algo_search": "1",
    "arena_extend_strategy": "1",
    "do_copy_in_default_stream": "1",
}
"""Parameters with the value that Headrace gives them anyway."""


def carry_session(left: Any, taken: Any) -> None:
    """Take what a serving config's session says."""
    _carry_level(left, taken)
    _carry_threads(left, taken)
    for name, value in ALWAYS_SO.items():
        if _parameter(left, name) == value:
            del left.parameters[name]


def _carry_level(left: Any, taken: Any) -> None:
    if not left.optimization.HasField("graph"):
        return
    level = GRAPH_LEVELS.get(left.optimization.graph.level)
    if level is not None:
        taken.session.graph_optimization = level
        left.optimization.graph.ClearField("level")


def _carry_threads(left: Any, taken: Any) -> None:
    """Take thread counts; those across operators count only where operators run in parallel."""
    intra = _threads(left, INTRA_OP)
    if intra is not None:
        taken.session.intra_op_threads = intra
        del left.parameters[INTRA_OP]
    inter, mode = _threads(left, INTER_OP), _parameter(left, EXECUTION_MODE)
    if mode == PARALLEL and inter is not None and inter > 1:
        taken.session.inter_op_threads = inter
        del left.parameters[INTER_OP]
        del left.parameters[EXECUTION_MODE]
    elif mode == "0":
        del left.parameters[EXECUTION_MODE]


def _threads(left: Any, name: str) -> int | None:
    text = _parameter(left, name)
    if text is None or _NUMBER.fullmatch(text) is None:
        return None
    return int(text) if int(text) <= MAX_THREADS else None


def _parameter(left: Any, name: str) -> str | None:
    # Looking a key up in a map of messages would create it.
    return left.parameters[name].string_value if name in left.parameters else None
