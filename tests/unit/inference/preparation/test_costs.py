"""What nobody asked for costs little: rows are proposed, warmed and measured as far as one row allows."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.machine.memory import own_memory_bytes
from headrace.state.records import Batching, Provider, ServingConfig, VersionRecord
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.adapters.runtime.warm_up_costs import RUN_BYTES
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN
from tests.unit.inference.preparation.fixtures import preparing
from tests.unit.inference.runtime.models import Tensor, node, record_of, save

PROPOSED = ServingConfig(
    provider=Provider.CPU, batching=Batching(64, allow_larger_requests=True), instances=0
)
MEGABYTE = 1 << 20


def long_convolution(folder: Path, config: ServingConfig) -> tuple[Path, VersionRecord]:
    """A file of 10 kB, of which one row takes some 18 MB and 64 rows a gigabyte."""
    random = np.random.default_rng(1)

    def weight(*shape: int) -> Any:
        return random.normal(size=shape).astype(np.float32)

    nodes = [
        node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1]),
        node("GlobalMaxPool", ["c"], ["d"]),
        node("Flatten", ["d"], ["y"]),
    ]
    given = Tensor("x", Datatype.FP32, ["n", 1, 901, 161])
    weights = [("w1", weight(16, 1, 3, 3)), ("w2", weight(16, 16, 3, 3))]
    folder.mkdir(exist_ok=True)
    made = Tensor("y", Datatype.FP32, ["n", 16])
    path = save(folder / "model.onnx", nodes, [given], [made], weights)
    return path, replace(record_of(path, config), digest=f"digest-{folder.name}")


def row_by_row(folder: Path) -> tuple[Path, VersionRecord]:
    """A graph whose signature has a free first dimension, and that runs one row only."""
    folder.mkdir(exist_ok=True)
    nodes = [node("Reshape", ["x", "one_row"], ["y"])]
    given, made = Tensor("x", Datatype.FP32, ["n", 4]), Tensor("y", Datatype.FP32, ["n", 4])
    path = save(folder / "model.onnx", nodes, [given], [made], [("one_row", np.array([1, 4]))])
    return path, replace(record_of(path, PROPOSED), digest=f"digest-{folder.name}")


def peak_bytes() -> int:
    """The most that this process has held since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of peaks")
def test_rows_that_nobody_asked_for_cost_what_one_row_allows(tmp_path: Path) -> None:
    """Neither warming nor measuring takes the memory of 64 rows, nor does a batch ever."""
    path, record = long_convolution(tmp_path / "v", PROPOSED)
    forget_peak()
    before = peak_bytes()
    with preparing(tmp_path, tuning_seconds=0.5) as (opener, _):
        runner = opener.open(path, record)
    grown = peak_bytes() - before
    assert grown < RUN_BYTES + 64 * MEGABYTE
    assert runner.memory_bytes < 64 * MEGABYTE
    assert 1 <= runner.plan.affordable_rows <= 8
    assert runner.plan.most_rows(record.config) <= runner.plan.affordable_rows
    assert f"at most {runner.plan.affordable_rows} rows are put together" in runner.remark


LIMITED = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from headrace.errors import HeadraceError
from headrace.state.records import Batching
from headrace_inference.adapters.runtime.onnx_runtime import RuntimeDefaults, open_session
from tests.unit.inference.preparation.test_costs import PROPOSED, long_convolution

folder, rows, megabytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
config = replace(PROPOSED, batching=Batching(rows)) if rows else PROPOSED
path, record = long_convolution(folder, config)
used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20),) * 2)
try:
    print("opened", open_session(path, record, RuntimeDefaults(cores=1)).plan.most_rows(config))
except HeadraceError as error:
    print(error.reason)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to such a limit")
@pytest.mark.parametrize(
    ("rows", "megabytes", "expected"),
    [(64, 300, "OUT_OF_MEMORY"), (0, 30, "OUT_OF_MEMORY"), (0, 100, "opened")],
)
def test_an_allocation_that_fails(tmp_path: Path, rows: int, megabytes: int, expected: str) -> None:
    """It fails the load of rows that were asked for, bounds those that were not, and ends nobody."""
    given = [str(tmp_path / "v"), str(rows), str(megabytes)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *given], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(expected)


def test_what_is_affordable_is_found_once(tmp_path: Path) -> None:
    """The next load reads it beside the saved graph."""
    path, record = long_convolution(tmp_path / "v", PROPOSED)
    with preparing(tmp_path) as (opener, _):
        rows = opener.open(path, record).plan.affordable_rows
    with preparing(tmp_path) as (opener, processes):
        assert rows == opener.open(path, record).plan.affordable_rows
        assert [] == processes.pids()


def test_a_small_model_takes_all_rows(tmp_path: Path) -> None:
    """The limits are nothing that it would notice."""
    nodes = [node("Relu", ["x"], ["y"])]
    given, made = Tensor("x", Datatype.FP32, ["n", 4]), Tensor("y", Datatype.FP32, ["n", 4])
    path = save(tmp_path / "model.onnx", nodes, [given], [made])
    runner = open_session(path, record_of(path, PROPOSED), RuntimeDefaults(cores=1))
    assert NO_PLAN == runner.plan
    assert 64 == runner.plan.most_rows(PROPOSED)


def test_proposed_rows_that_do_not_run_together_are_run_alone(tmp_path: Path) -> None:
    """The proposal was wrong, not the version."""
    path, record = row_by_row(tmp_path / "v")
    with preparing(tmp_path) as (opener, _):
        runner = opener.open(path, record)
        assert 1 == runner.plan.most_rows(record.config)
        assert (1, 4) == runner.run([np.zeros((1, 4), np.float32)])[0].shape


def test_a_version_that_rests_gives_back_what_its_runs_took(tmp_path: Path) -> None:
    """Its next run takes it again, and answers the same."""
    path, record = long_convolution(tmp_path / "v", PROPOSED)
    runner = open_session(path, record, RuntimeDefaults(cores=1))
    rows = [np.ones((8, 1, 901, 161), np.float32)]
    runner.rest()
    before = own_memory_bytes()
    expected = runner.run(rows)[0].tobytes()
    taken = own_memory_bytes() - before
    runner.rest()
    assert taken > 64 * MEGABYTE
    assert own_memory_bytes() - before < taken / 4
    assert expected == runner.run(rows)[0].tobytes()


def test_memory_of_warm_up_is_given_back(tmp_path: Path) -> None:
    """Rows that a push asks for are all run, and their memory comes back until they are sent."""
    asked = replace(PROPOSED, batching=Batching(16))
    path, record = long_convolution(tmp_path / "v", asked)
    before = own_memory_bytes()
    runner = open_session(path, record, RuntimeDefaults(cores=1))
    assert 16 == runner.plan.most_rows(asked)
    assert own_memory_bytes() - before < 64 * MEGABYTE
    assert runner.memory_bytes < 64 * MEGABYTE
