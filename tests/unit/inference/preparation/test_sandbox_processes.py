"""The processes that prepare versions: killed, crashed, idle, and never in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition, HeadraceError, Unavailable
from headrace.service.child_tasks.messages import READY, encode_message
from headrace.state.codec import encode
from headrace.state.records import VersionRecord
from headrace_inference.adapters.preparation.cached_opener import (
    machine_of,
)
from headrace_inference.adapters.preparation.sandbox_pool import (
    MODULE,
    open_preparing_processes,
)
from headrace_inference.adapters.preparation.task import PrepareTask, Step
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner, open_session
from tests.unit.inference.preparation.fixtures import (
    SINGLE,
    images,
    layered,
    preparing,
)
from tests.unit.inference.runtime.models import Tensor, node, record_of, save
from tests.unit.inference.runtime.test_resources import endless


def hostile(path: Path) -> tuple[Path, VersionRecord]:
    """A graph with its record."""
    return path, record_of(path, SINGLE)


def slow_to_optimise(folder: Path) -> tuple[Path, VersionRecord]:
    """A file of a few hundred bytes whose constants take a minute and more to fold."""
    nodes = [node("Expand", ["one", "shape"], ["t0"])]
    nodes += [node("MatMul", [f"t{place}", f"t{place}"], [f"t{place + 1}"]) for place in range(400)]
    nodes += [node("ReduceMax", ["t400"], ["most"], keepdims=0), node("Add", ["x", "most"], ["y"])]
    weights = [("one", np.zeros((1, 1), np.float32)), ("shape", np.array([1500, 1500]))]
    x, y = Tensor("x", Datatype.FP32, [1]), Tensor("y", Datatype.FP32, [1])
    return hostile(save(folder / "model.onnx", nodes, [x], [y], weights))


def growing(folder: Path) -> tuple[Path, VersionRecord]:
    """A graph whose warm-up grows by a megabyte a turn."""
    step = node("Concat", ["value", "x"], ["next"], axis=0)
    return hostile(endless(folder, step, size=262_144))


def never_ending(folder: Path) -> tuple[Path, VersionRecord]:
    """A graph whose warm-up does not end."""
    return hostile(endless(folder, node("Add", ["value", "x"], ["next"])))


@pytest.mark.parametrize(
    ("make", "bounds", "reason"),
    [
        (slow_to_optimise, LoadBounds(seconds=1.0), "LOAD_TIMEOUT"),
        (never_ending, LoadBounds(seconds=1.0), "LOAD_TIMEOUT"),
        (growing, LoadBounds(60, memory_bytes=100_000_000), "LOAD_TOO_LARGE"),
    ],
)
def test_a_hostile_graph_is_ended_while_another_version_answers(
    tmp_path: Path,
    make: Callable[[Path], tuple[Path, VersionRecord]],
    bounds: LoadBounds,
    reason: str,
) -> None:
    """Its process is killed, and the answers of the one that serves stay what they were."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    with preparing(tmp_path, bounds) as (opener, processes), ExitStack() as stack:
        serving = open_session(*layered(tmp_path / "v"), RuntimeDefaults(cores=1))
        expected = serving.run([images()])[0].tobytes()
        loading = in_thread(stack, lambda: opener.open(*make(folder)))
        answers = {expected}
        while not loading.done():
            answers.add(serving.run([images()])[0].tobytes())
        with pytest.raises(FailedPrecondition) as caught:
            loading.result()
        assert [] == processes.pids()
    assert ({expected}, reason) == (answers, caught.value.reason)


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (signal.SIGKILL, Unavailable, "LOAD_KILLED"),
        (signal.SIGSEGV, FailedPrecondition, "LOAD_CRASHED"),
    ],
)
def test_a_preparing_process_that_dies_is_the_loads_failure_alone(
    tmp_path: Path, number: signal.Signals, kind: type[HeadraceError], reason: str
) -> None:
    """The reason says how it died, and the next load has another process."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    with preparing(tmp_path) as (opener, processes), ExitStack() as stack:
        opener.open(*layered(tmp_path / "v")).close()
        (pid,) = processes.pids()
        loading = in_thread(stack, lambda: opener.open(*never_ending(folder)))
        while not loading.done():  # one that crashed is followed by one that saves nothing
            for busy in processes.pids(busy=True):
                with suppress(ProcessLookupError):  # it is reaped already
                    os.kill(busy, number)
        with pytest.raises(kind) as caught:
            loading.result()
        opener.open(*layered(tmp_path / "w")).close()
        assert pid not in processes.pids()
    assert reason == caught.value.reason


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of other processes")
def test_an_idle_process_that_was_killed_costs_nothing(tmp_path: Path) -> None:
    """The next load starts another."""
    with preparing(tmp_path) as (opener, processes):
        opener.open(*layered(tmp_path / "a")).close()
        (pid,) = processes.pids()
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        opener.open(*layered(tmp_path / "b")).close()
        assert pid not in processes.pids()


def test_an_idle_process_ends_after_a_while(tmp_path: Path) -> None:
    """It holds memory that nobody needs."""
    with preparing(tmp_path, idle_seconds=0.01) as (opener, processes):
        opener.open(*layered(tmp_path / "a")).close()
        wait_until(lambda: processes.pids() == [])
        opener.open(*layered(tmp_path / "b")).close()


def test_closing_ends_what_is_being_prepared(tmp_path: Path) -> None:
    """A replica that ends waits for no hostile graph."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    with ExitStack() as stack:
        with preparing(tmp_path) as (opener, processes):
            opener.open(*layered(tmp_path / "v")).close()
            loading = in_thread(stack, lambda: opener.open(*never_ending(folder)))
            wait_until(lambda: bool(processes.pids(busy=True)))
        with pytest.raises(Unavailable):
            loading.result(timeout=10)
        assert [] == processes.pids()


def test_a_load_that_nobody_wants_any_more_ends_with_its_process(tmp_path: Path) -> None:
    """It has no time limit of its own for that."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    abandoned = threading.Event()
    with preparing(tmp_path, LoadBounds(600)) as (opener, processes), ExitStack() as stack:
        path, record = never_ending(folder)
        loading = in_thread(stack, lambda: opener.open(path, record, abandoned))
        wait_until(lambda: bool(processes.pids(busy=True)))
        abandoned.set()
        with pytest.raises(Unavailable) as caught:
            loading.result(timeout=10)
        assert [] == processes.pids()
    assert "LOAD_ABANDONED" == caught.value.reason


def test_what_is_given_up_while_the_replica_opens_it_is_no_fault_of_the_saved_graph(
    tmp_path: Path,
) -> None:
    """The next load finds it."""
    given = layered(tmp_path / "v")
    abandoned = threading.Event()
    with preparing(tmp_path) as (opener, _):
        opener.open(*given).close()
        abandoned.set()
        with pytest.raises(Unavailable):
            opener.open(*given, abandoned)
        assert "prepared" == opener.open(*given).graph


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities here")
def test_a_preparing_process_gives_way(tmp_path: Path) -> None:
    """To those that serve, and to the kernel when memory runs out."""
    with preparing(tmp_path) as (opener, processes):
        opener.open(*layered(tmp_path / "v")).close()
        (pid,) = processes.pids()
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert min(19, own + 10) == os.getpriority(os.PRIO_PROCESS, pid)
        assert os.SCHED_BATCH == os.sched_getscheduler(pid)
        assert "1000\n" == Path(f"/proc/{pid}/oom_score_adj").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows priorities of threads")
def test_a_process_that_takes_long_has_the_last_call_on_the_cores(tmp_path: Path) -> None:
    """All of its threads, so that what is loaded beside it is not slowed down; it does no other task."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    graph, record = never_ending(folder)
    abandoned = threading.Event()
    with ExitStack() as stack:
        processes = stack.enter_context(open_preparing_processes(slow_seconds=0.2))
        machine = machine_of(RuntimeDefaults(cores=2))
        task = PrepareTask(Step.TRY, str(graph), record, machine)
        bounds = LoadBounds(60, abandoned=abandoned)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        preparing_it = pool.submit(lambda: processes.prepare(task, bounds))
        wait_until(lambda: [19] == [os.getpriority(os.PRIO_PROCESS, p) for p in processes.pids()])
        (pid,) = processes.pids()
        threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
        assert {19} == {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
        abandoned.set()
        with pytest.raises(Unavailable):
            preparing_it.result()


def test_a_preparing_process_ends_with_its_replica(tmp_path: Path) -> None:
    """Its input ends when the replica does, however that ends; it does not finish what it is doing."""
    path, record = never_ending(tmp_path)
    machine = machine_of(RuntimeDefaults(cores=1))
    task = encode(PrepareTask(Step.TRY, str(path), record, machine))
    with subprocess.Popen(
        [sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert encode_message(READY) == process.stdout.readline()
        process.stdin.write(task + b"\n")
        process.stdin.close()
        assert b"" == process.stdout.read()
        assert 0 == process.wait(10)


def in_thread(stack: ExitStack, work: Callable[[], OnnxRunner]) -> Future[OnnxRunner]:
    """The work, begun in a thread that is joined at the end of the test."""
    return stack.enter_context(ThreadPoolExecutor(1)).submit(work)


def wait_until(happens: Callable[[], bool]) -> None:
    """Wait for what another thread does; the test's own time limit is the bound."""
    while not happens():
        os.sched_yield()


def test_a_preparing_process_whose_replica_was_killed_ends_without_a_word() -> None:
    """What starts while its replica goes finds nobody to tell that it is ready."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended = subprocess.run(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.DEVNULL,
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write_end)
    assert (0, b"") == (ended.returncode, ended.stderr)
