"""What a session is told, and what it costs."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from headrace.state.records import GraphOptimization, ServingConfig, SessionOptions
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.runtime.cores import quota_cores, usable_cores
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


@pytest.mark.parametrize("level", GraphOptimization)
def test_every_optimisation_level_is_known_to_the_runtime(level: GraphOptimization) -> None:
    """The record's level becomes the runtime's."""
    config = ServingConfig(session=SessionOptions(graph_optimization=level))
    name = session_options.build(config, cores=1).graph_optimization_level.name
    expected = {"disabled": "ORT_DISABLE_ALL", "all": "ORT_ENABLE_ALL"}
    assert expected.get(level, f"ORT_ENABLE_{level.upper()}") == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("150000 100000\n", 1),
        ("50000 100000\n", 0),
        ("", None),
    ],
)
def test_a_containers_quota_in_whole_cores(text: str, expected: int | None) -> None:
    """As the kernel writes it."""
    assert expected == quota_cores(text)


def test_a_quota_under_one_core_still_leaves_one(tmp_path: Path) -> None:
    """A session needs a thread."""
    quota = tmp_path / "cpu.max"
    quota.write_text("50000 100000\n")
    assert 1 == usable_cores(quota)


def test_without_a_quota_the_scheduler_says(tmp_path: Path) -> None:
    """No control groups, no limit by them."""
    assert usable_cores(tmp_path / "missing") >= 1
