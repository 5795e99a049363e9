"""Makes ONNX Runtime's session options: threads, graph, memory, operators, log level."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from headrace.errors import FailedPrecondition
from headrace.onnx_runtime.errors import clean_message
from headrace.state.records import (
    ExecutionMode,
    GraphOptimization,
    Provider,
    ServingConfig,
    SessionOptions,
)
from headrace_inference.adapters.runtime.ort_errors import RUNTIME_ERRORS

_LEVELS = {
    GraphOptimization.DISABLED: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    GraphOptimization.BASIC: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    GraphOptimization.EXTENDED: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    GraphOptimization.ALL: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

_SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")
_STOP_SPINNING = "session.force_spinning_stop"
_SPIN_DURATION = "session.intra_op.spin_duration_us"

SPIN_MICROSECONDS = 25
"""How long a thread of a run waits awake for the next operator; then it sleeps until it is woken.

Measured on two cores, an encoder and ResNet-50: alone as fast as with ONNX Runtime's own 1,000, where 10
lose 4 %; beside a program that burns one of the cores a quarter faster.
"""


class Severity(enum.IntEnum):
    """ONNX Runtime's log levels, as far as they are used."""

    ERROR = 3
    FATAL = 4


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of a session: within an operator, and across operators (1: one after another)."""

    intra_op: int
    inter_op: int


def threads(config: ServingConfig, cores: int) -> Threads:
    """Return what the config says; where it leaves the choice, the instances share the cores evenly."""
    session = config.session
    share = max(1, cores // max(1, config.instances))
    return Threads(session.intra_op_threads or share, _inter_op(session, share))


def _inter_op(session: SessionOptions, share: int) -> int:
    match session.execution_mode:
        case ExecutionMode.AUTO:
            return session.inter_op_threads or 1
        case ExecutionMode.PARALLEL:
            return session.inter_op_threads or share
        case ExecutionMode.SEQUENTIAL:
            return 1


def build(
    config: ServingConfig,
    cores: int,
    *,
    spinning: bool = True,
    libraries: Sequence[Path] = (),
) -> Any:
    """The options of a version's session; `libraries` have its custom operators.

    `spinning` has the threads of a run wait for one another awake for SPIN_MICROSECONDS, and stop when
    the run ends: an idle worker that went on would burn the cores that the server's own threads need. On a
    quiet machine it takes a sixth off an encoder's latency; where others want the cores it adds as much.
    Raises FailedPrecondition (CUSTOM_OPERATORS_UNAVAILABLE) for a library that cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = Severity.ERROR
    _set_threads(options, threads(config, cores), spinning=spinning)
    _set_graph(options, config.session)
    for name, value in config.provider_options.get(Provider.CPU, {}).items():
        options.add_session_config_entry(name, value)
    for library in libraries:
        _add_operators(options, library)
    return options


def _set_threads(options: Any, chosen: Threads, *, spinning: bool) -> None:
    options.intra_op_num_threads = chosen.intra_op
    options.inter_op_num_threads = chosen.inter_op
    if chosen.inter_op > 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    for entry in _SPINNING:
        options.add_session_config_entry(entry, "1" if spinning else "0")
    options.add_session_config_entry(_STOP_SPINNING, "1")
    options.add_session_config_entry(_SPIN_DURATION, str(SPIN_MICROSECONDS))


def _set_graph(options: Any, session: SessionOptions) -> None:
    options.graph_optimization_level = _LEVELS[session.graph_optimization]
    options.enable_cpu_mem_arena = session.cpu_memory_arena
    options.enable_mem_pattern = session.memory_pattern
    for name, size in session.free_dimensions.items():
        options.add_free_dimension_override_by_name(name, size)


def _add_operators(options: Any, library: Path) -> None:
    try:
        options.register_custom_ops_library(str(library))
    except RUNTIME_ERRORS as error:
        raise FailedPrecondition(
            "CUSTOM_OPERATORS_UNAVAILABLE",
            f"onnx runtime {onnxruntime.__version__} cannot load {library.name!r} from the folder of the "
            f"setting custom_operators: {clean_message(str(error), library.parent)}",
            facts={"setting": "custom_operators", "missing": library.name},
        ) from error


def shrinking_run_options() -> Any:
    """The options of a run after which the arena of the CPU gives back what nothing uses."""
    options = run_options()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def run_options() -> Any:
    """The options of a run; setting `terminate` ends all that have them.

    A failed run is its caller's answer: nothing of it goes to standard error, which callers could flood.
    """
    options = onnxruntime.RunOptions()
    options.log_severity_level = Severity.FATAL
    # What holds without it. A run with a binding asks for it, and an exception there takes 20 µs.
    options.add_run_config_entry("gpu_graph_id", "0")
    return options
