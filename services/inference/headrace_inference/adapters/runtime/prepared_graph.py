"""Graphs as ONNX Runtime left them when it had optimised them: saved once, then opened as they are.

Weights lie beside the graph in one file that is mapped, not read. Those that kernels pack anew for this
processor are not saved packed, though ONNX Runtime offers it: it writes them wherever the weight before
ends, and kernels that read them where they lie expect whole cache lines. A bias of 300 numbers before a
matrix ended the process, and no trial sees the branches that it does not take.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace_inference.domain.scheduling.execution_plan import NO_PLAN, ExecutionPlan

GRAPH = "graph.onnx"
WEIGHTS = "weights.bin"
FILES = (GRAPH, WEIGHTS)

_SMALLEST_APART = "1024"
"""Smaller tensors stay in the graph: each outside costs a look at a file."""


@dataclass(frozen=True, slots=True)
class PreparedGraph:
    """A version's preparation, before it is opened: how to run it, and its saved graph, if any."""

    plan: ExecutionPlan = NO_PLAN
    graph: Path | None = None

    def for_single_requests(self) -> PreparedGraph | None:
        """Return how the session of single requests is opened, if it is worth one: with mapped weights."""
        if not self.plan.single_request_threads or self.graph is None:
            return None
        return PreparedGraph(self.plan.for_single_requests(), self.graph)


UNPREPARED = PreparedGraph()


def save_into(options: Any, folder: Path) -> None:
    """Have the session that gets these options save its optimised graph into a folder."""
    options.optimized_model_filepath = str(folder / GRAPH)
    for entry, value in (
        ("optimized_model_external_initializers_file_name", WEIGHTS),
        ("optimized_model_external_initializers_min_size_in_bytes", _SMALLEST_APART),
    ):
        options.add_session_config_entry(f"session.{entry}", value)


def open_as_saved(options: Any) -> None:
    """Have the session that gets these options take its graph as it is."""
    import onnxruntime

    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
