"""How a version runs best is measured after it is ready, kept, and used when it is opened next."""

from __future__ import annotations

import logging
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.datatypes import Datatype
from headrace.state.records import Batching, VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.artifact_cache.leases import CacheLeases
from headrace_inference.adapters.preparation.cache import FORMAT, MANIFEST, PreparedCache
from headrace_inference.adapters.preparation.cached_opener import PreparingOpener, machine_of
from headrace_inference.adapters.preparation.exclusive_measurement import ExclusiveMeasurement
from headrace_inference.adapters.preparation.plan_measurement import MEASURED
from headrace_inference.adapters.preparation.remarks import NOT_MEASURED
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN, TINY_PLAN, ExecutionPlan
from tests.unit.inference.preparation.fixtures import BATCHED, entry, images, layered, preparing
from tests.unit.inference.preparation.test_costs import long_convolution
from tests.unit.inference.preparation.test_fallbacks import (
    answers,
    prepared_once,
    spoil_with_packed_weights,
)
from tests.unit.inference.runtime.models import identity, record_of

OPEN = replace(BATCHED, instances=0, batching=Batching(2))
ROBUST = ExecutionPlan(2, 1, single_request_threads=2, is_provisional=True)


def slow_enough(folder: Path) -> tuple[Path, VersionRecord]:
    """A version whose runs take long enough that something can be chosen."""
    return long_convolution(folder, OPEN)


def measured(opener: PreparingOpener, runner: OnnxRunner) -> bool:
    """What comes of measuring; a busy machine is asked again, for whoever tests is on it."""
    return any(opener.measurement.measure(runner, threading.Event()) for _ in range(5))


def test_a_version_is_ready_before_it_is_measured(
    prepared: tuple[Path, Path, VersionRecord],
) -> None:
    """It has a layout that suits any machine, and says that it is not measured."""
    with preparing(prepared[0], tuning_seconds=3600.0) as (opener, processes):
        runner = opener.open(*prepared[1:])
        assert (ROBUST, NOT_MEASURED) == (runner.plan, runner.remark)
        assert [] == processes.pids()


def test_nothing_is_measured_where_the_setting_says_so(
    prepared: tuple[Path, Path, VersionRecord],
) -> None:
    """And nobody is told to wait for it."""
    with preparing(prepared[0], tuning_seconds=0.0) as (opener, _):
        runner = opener.open(*prepared[1:])
    assert (replace(ROBUST, is_provisional=False), "") == (runner.plan, runner.remark)


def test_what_was_measured_holds_from_the_next_opening_on(tmp_path: Path) -> None:
    """Also in the replica's next life, which needs no process for it."""
    given = slow_enough(tmp_path / "v")
    with preparing(tmp_path, tuning_seconds=0.2) as (opener, _):
        runner = opener.open(*given)
        if not measured(opener, runner):
            pytest.skip("others had the cores")
        assert (False, MEASURED) == (runner.plan.is_provisional, runner.remark)
        plan = opener.open(*given).plan
        assert plan.instances * plan.intra_op_threads <= 2
    with preparing(tmp_path, tuning_seconds=0.2) as (opener, processes):
        assert (plan, "") == (opener.open(*given).plan, opener.open(*given).remark)
        assert [] == processes.pids()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, VersionRecord]:
    """A folder with a version that was prepared once, and not measured; tests work on copies."""
    folder = tmp_path_factory.mktemp("prepared")
    path, record = slow_enough(folder / "v")
    with preparing(folder, tuning_seconds=3600.0) as (opener, _):
        opener.open(path, record).close()
    return folder, path, record


def with_plan(prepared: tuple[Path, Path, VersionRecord], tmp_path: Path, plan: str) -> None:
    """Copy what was prepared, with this as its plan."""
    shutil.copytree(prepared[0] / "prepared", tmp_path / "prepared")
    manifest = (entry(tmp_path) / MANIFEST).read_text()
    assert '"plan":null' in manifest
    (entry(tmp_path) / MANIFEST).write_text(manifest.replace('"plan":null', f'"plan":{plan}'))


def test_a_plan_is_kept_across_lives(
    tmp_path: Path, prepared: tuple[Path, Path, VersionRecord]
) -> None:
    """Nothing is measured again of the same version on the same machine."""
    plan = '{"instances":1,"intra_op_threads":2,"best_batch_rows":2}'
    with_plan(prepared, tmp_path, plan)
    with preparing(tmp_path, tuning_seconds=3600.0) as (opener, processes):
        runner = opener.open(*prepared[1:])
        assert (ExecutionPlan(1, 2, best_batch_rows=2), "") == (runner.plan, runner.remark)
        assert [] == processes.pids()


@pytest.mark.parametrize("spoilt", ["7", "{", '{"instances":"many"}', "\x00"])
def test_a_damaged_plan_is_no_plan(
    tmp_path: Path, prepared: tuple[Path, Path, VersionRecord], spoilt: str
) -> None:
    """It is noted and removed: the version is prepared and measured again."""
    with_plan(prepared, tmp_path, spoilt)
    leases, checks = CacheLeases(), FileChecks()
    place = entry(tmp_path)
    assert PreparedCache(tmp_path / "prepared", 1 << 30, leases, checks).find(place) is None
    assert (False, 1) == (place.exists(), checks.damaged_files)


@pytest.mark.parametrize("what", ["cores", "spinning", "config", "runtime", "processor", "format"])
def test_what_a_plan_depends_on(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that has changed, nothing was measured yet."""
    record, machine = (
        record_of(identity(tmp_path, Datatype.FP32), OPEN),
        machine_of(RuntimeDefaults(cores=2)),
    )

    def place() -> Path:
        return PreparedCache(tmp_path, 1, CacheLeases(), FileChecks()).place_of(record, machine)

    before = place()
    assert before == place()
    if what == "cores":
        machine = replace(machine, cores=4)
    if what == "spinning":
        machine = replace(machine, spinning=False)
    if what == "config":
        record = replace(record, config=replace(OPEN, batching=Batching(3)))
    module = "headrace_inference.adapters.preparation.cache"
    if what == "runtime":
        monkeypatch.setattr(f"{module}.runtime_version", lambda: "0.0.0")
    if what == "processor":
        monkeypatch.setattr(f"{module}.processor", lambda: "another one")
    if what == "format":
        monkeypatch.setattr(f"{module}.FORMAT", FORMAT + 1)
    assert before != place()


def test_runs_that_are_over_at_once_are_not_measured(tmp_path: Path) -> None:
    """One thread is best, and that is known when it was tried."""
    path = identity(tmp_path, Datatype.FP32, ("n",))
    record = record_of(path, OPEN)
    with preparing(tmp_path, tuning_seconds=3600.0) as (opener, _):
        runner = opener.open(path, record)
    assert (TINY_PLAN, "") == (runner.plan, runner.remark)


def test_inputs_without_a_size_are_not_measured(tmp_path: Path) -> None:
    """What is made up for a free dimension is far from what callers send."""
    path = identity(tmp_path, Datatype.FP32, ("n", "length"))
    record = record_of(path, OPEN)
    with preparing(tmp_path, tuning_seconds=3600.0) as (opener, _):
        runner = opener.open(path, record)
    assert (replace(ROBUST, is_provisional=False), "") == (runner.plan, runner.remark)


def test_what_a_config_chooses_is_left_to_it(tmp_path: Path) -> None:
    """There is nothing to choose."""
    path, record = slow_enough(tmp_path / "v")
    session = replace(OPEN.session, intra_op_threads=1)
    record = replace(record, config=replace(OPEN, instances=3, session=session))
    with preparing(tmp_path, tuning_seconds=0.0) as (opener, _):
        assert NO_PLAN == opener.open(path, record).plan


def test_a_load_ends_a_measurement(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It does not wait for it, and the version is measured another time; the log says so."""
    caplog.set_level(logging.INFO)
    given = slow_enough(tmp_path / "v")
    with preparing(tmp_path, tuning_seconds=3600.0) as (opener, processes):
        runner = opener.open(*given)
        found: list[bool] = []
        abandoned = threading.Event()
        thread = threading.Thread(
            target=lambda: found.append(opener.measurement.measure(runner, abandoned))
        )
        thread.start()
        while thread.is_alive() and not processes.pids(busy=True):
            thread.join(0.01)
        assert (3, 32) == opener.open(*layered(tmp_path / "other")).run([images()])[0].shape
        thread.join(60)
    assert ([False], True) == (found, runner.plan.is_provisional)
    said = [text for text in caplog.messages if text.startswith("not measured now")]
    assert [
        "not measured now: requests, loads or others wanted the cores, or the version ends"
    ] == said


def test_nobody_measures_beside_a_load_or_another_measurement() -> None:
    """But one that does not end keeps nobody from it for long."""
    now = [100.0]
    quiet = ExclusiveMeasurement(10.0, lambda: now[0])
    first, second = threading.Event(), threading.Event()
    with quiet.loading():
        with quiet.measuring(first) as may:
            assert not may
        now[0] += 11.0
        with quiet.measuring(first) as may, quiet.measuring(second) as others_may:
            assert (True, False) == (may, others_may)
            with quiet.loading():
                assert (True, False) == (first.is_set(), second.is_set())
    with quiet.measuring(second) as may:
        assert may


def test_a_saved_graph_that_ends_the_process_which_measures_it_is_given_up(tmp_path: Path) -> None:
    """From the next opening on the version serves as it was pushed, and says so."""
    with preparing(tmp_path, tuning_seconds=0.5) as (opener, _):
        path, record, expected = prepared_once(tmp_path, opener)
        runner = opener.open(path, record)
        spoil_with_packed_weights(path, entry(tmp_path), FORMAT)
        assert opener.measurement.measure(runner, threading.Event())
        again = opener.open(path, record)
        assert ("pushed", expected) == (again.graph, answers(again))
        assert "its optimised graph fails (LOAD_CRASHED)" == again.remark.partition(": ")[2]


def test_what_was_measured_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """It holds for this life of the replica, and is not measured over and over."""
    (tmp_path / "prepared").write_bytes(b"no folder")
    path, record = slow_enough(tmp_path / "v")
    with preparing(tmp_path, tuning_seconds=0.2) as (opener, _):
        runner = opener.open(path, record)
        assert runner.plan.is_provisional
        if not measured(opener, runner):
            pytest.skip("others had the cores")
        assert not opener.open(path, record).plan.is_provisional
