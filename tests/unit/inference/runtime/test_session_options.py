"""What a session is told, and what it costs."""

from __future__ import annotations

import onnxruntime
import pytest

from headrace.state.records import (
    ExecutionMode,
    GraphOptimization,
    Provider,
    ServingConfig,
    SessionOptions,
)
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.runtime.session_options import Threads


@pytest.mark.parametrize(
    ("instances", "intra", "inter", "cores", "expected"),
    [
        (1, 0, 0, 8, Threads(8, 1)),
        (2, 0, 0, 8, Threads(4, 1)),
        (3, 0, 0, 8, Threads(2, 1)),
        (16, 0, 0, 8, Threads(1, 1)),
        (2, 5, 0, 8, Threads(5, 1)),
        (1, 0, 3, 8, Threads(8, 3)),
    ],
)
def test_instances_share_the_cores(
    instances: int, intra: int, inter: int, cores: int, expected: Threads
) -> None:
    """0 threads means an even share, and one thread at least."""
    config = ServingConfig(instances=instances, session=SessionOptions(intra, inter))
    assert expected == session_options.threads(config, cores)


@pytest.mark.parametrize(
    ("mode", "inter", "expected"),
    [
        (ExecutionMode.AUTO, 0, 1),
        (ExecutionMode.AUTO, 3, 3),
        (ExecutionMode.SEQUENTIAL, 3, 1),
        (ExecutionMode.PARALLEL, 3, 3),
        (ExecutionMode.PARALLEL, 0, 4),
    ],
)
def test_operators_run_in_parallel_where_that_is_asked(
    mode: ExecutionMode, inter: int, expected: int
) -> None:
    """By the mode, or by threads for it; the mode alone takes an even share of the cores."""
    config = ServingConfig(
        instances=2, session=SessionOptions(inter_op_threads=inter, execution_mode=mode)
    )
    assert expected == session_options.threads(config, cores=8).inter_op
    modes = onnxruntime.ExecutionMode
    runs = modes.ORT_PARALLEL if expected > 1 else modes.ORT_SEQUENTIAL
    assert runs == session_options.build(config, cores=8).execution_mode


def test_memory_can_be_given_back_after_each_run() -> None:
    """Without the arena and without plans of the memory of runs."""
    session = SessionOptions(cpu_memory_arena=False, memory_pattern=False)
    options = session_options.build(ServingConfig(session=session), cores=1)
    assert (False, False) == (options.enable_cpu_mem_arena, options.enable_mem_pattern)


def test_options_of_the_cpu_are_entries_of_the_session() -> None:
    """ONNX Runtime's CPU provider has none of its own."""
    told = {Provider.CPU: {"session.dynamic_block_base": "4"}, Provider.CUDA: {"use_tf32": "0"}}
    options = session_options.build(ServingConfig(provider_options=told), cores=1)
    assert "4" == options.get_session_config_entry("session.dynamic_block_base")
    with pytest.raises(RuntimeError):
        options.get_session_config_entry("use_tf32")


def test_the_runtime_gets_the_threads() -> None:
    """Operators run side by side only where that is asked."""
    options = session_options.build(ServingConfig(session=SessionOptions(3, 2)), cores=8)
    assert (3, 2) == (options.intra_op_num_threads, options.inter_op_num_threads)
    assert onnxruntime.ExecutionMode.ORT_PARALLEL == options.execution_mode
    alone = session_options.build(ServingConfig(), cores=8)
    assert onnxruntime.ExecutionMode.ORT_SEQUENTIAL == alone.execution_mode
    assert alone.enable_cpu_mem_arena
    assert alone.enable_mem_pattern


@pytest.mark.parametrize(("spinning", "expected"), [(True, "1"), (False, "0")])
def test_threads_spin_within_a_run_at_most(*, spinning: bool, expected: str) -> None:
    """Whether they do is a setting; that they stop when the run ends is not."""
    options = session_options.build(ServingConfig(), cores=8, spinning=spinning)
    for pool in ("intra_op", "inter_op"):
        assert expected == options.get_session_config_entry(f"session.{pool}.allow_spinning")
    assert "1" == options.get_session_config_entry("session.force_spinning_stop")
    assert "25" == options.get_session_config_entry("session.intra_op.spin_duration_us")


@pytest.mark.parametrize("level", GraphOptimization)
def test_every_optimisation_level_is_known_to_the_runtime(level: GraphOptimization) -> None:
    """The record's level becomes the runtime's."""
    config = ServingConfig(session=SessionOptions(graph_optimization=level))
    name = session_options.build(config, cores=1).graph_optimization_level.name
    expected = {"disabled": "ORT_DISABLE_ALL", "all": "ORT_ENABLE_ALL"}
    assert expected.get(level, f"ORT_ENABLE_{level.upper()}") == name
