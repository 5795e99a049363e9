"""What ONNX Runtime is told of a session: threads, graph optimisation, how loud it may be."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import onnxruntime

from headrace.state.records import GraphOptimization, ServingConfig

_LEVELS = {
    GraphOptimization.DISABLED: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    GraphOptimization.BASIC: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    GraphOptimization.EXTENDED: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    GraphOptimization.ALL: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

_SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")
_STOP_SPINNING = "session.force_spinning_stop"


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
    """What the config says; where it leaves the choice, the instances share the cores evenly."""
    session = config.session
    share = max(1, cores // max(1, config.instances))
    return Threads(session.intra_op_threads or share, session.inter_op_threads or 1)


def build(config: ServingConfig, cores: int, *, spinning: bool = True) -> Any:
    """The options of a version's session. The memory arena and memory patterns stay on, as by default.

    `spinning` has the threads of a run wait for one another without sleeping, and stop when the run ends:
    an idle worker that went on would burn the cores that the server's own threads need. On a quiet machine
    it took a fifth off an encoder's latency; where other work wants the same cores it adds as much.
    """
    chosen = threads(config, cores)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = chosen.intra_op
    options.inter_op_num_threads = chosen.inter_op
    if chosen.inter_op > 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    options.graph_optimization_level = _LEVELS[config.session.graph_optimization]
    options.log_severity_level = Severity.ERROR
    for entry in _SPINNING:
        options.add_session_config_entry(entry, "1" if spinning else "0")
    options.add_session_config_entry(_STOP_SPINNING, "1")
    return options


def run_options() -> Any:
    """The options of a run; setting `terminate` ends all that have them.

    A failed run is its caller's answer: nothing of it goes to standard error, which callers could flood.
    """
    options = onnxruntime.RunOptions()
    options.log_severity_level = Severity.FATAL
    return options
