"""Replicas of one machine that share a cache: one prepares and measures, and the others use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from headrace_inference.adapters.preparation.plan_measurement import MEASURED
from headrace_inference.adapters.preparation.turns import Turns
from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan
from tests.unit.inference.preparation.fixtures import entry, images, layered, preparing
from tests.unit.inference.preparation.test_measuring import slow_enough


def test_a_version_that_two_load_at_once_is_prepared_once(tmp_path: Path) -> None:
    """The second waits for the first's entry, and needs no process."""
    given = layered(tmp_path / "v")
    with preparing(tmp_path) as first, preparing(tmp_path) as second, ThreadPoolExecutor(2) as pool:
        runners = list(pool.map(lambda one: one[0].open(*given), (first, second)))
        answers = [runner.run([images()])[0].tobytes() for runner in runners]
        assert 1 == len([*first[1].pids(), *second[1].pids()])
    assert answers[0] == answers[1]
    assert entry(tmp_path)


def test_who_is_held_up_prepares_itself(tmp_path: Path) -> None:
    """Another process may hang: nobody waits for longer than a load may take, or once it is abandoned."""
    turns, place = Turns(tmp_path), Path("somewhere")
    abandoned = threading.Event()
    abandoned.set()
    with turns.preparing(place, 0, None):
        with turns.preparing(place, 0.01, None):
            pass
        with turns.preparing(place, 600, abandoned):
            pass


def test_turns_are_no_condition(tmp_path: Path) -> None:
    """Where their files cannot be made all goes on without them."""
    (tmp_path / "file").write_text("")
    turns = Turns(tmp_path / "file")
    with turns.preparing(Path("somewhere"), 600, None), turns.measuring() as turn:
        assert turn


@contextmanager
def another_measures(folder: Path) -> Iterator[None]:
    """Another process measures meanwhile."""
    with Turns(folder / "prepared-turns").measuring() as turn:
        assert turn
        yield


def test_one_process_measures_and_the_others_take_over(
    tmp_path: Path,
) -> None:
    """Who finds another measuring does so later, and finds the plan that was noted by then."""
    given = slow_enough(tmp_path / "v")
    plan = ExecutionPlan(1, 2)
    with preparing(tmp_path, tuning_seconds=3600.0) as (opener, processes):
        runner = opener.open(*given)
        before = processes.pids()
        with another_measures(tmp_path):
            assert not opener.measurement.measure(runner, threading.Event())
            opener._shared.cache.note(entry(tmp_path), plan)
        assert opener.measurement.measure(runner, threading.Event())
        assert before == processes.pids()
        assert (False, MEASURED) == (runner.plan.is_provisional, runner.remark)
        assert plan == opener.open(*given).plan
