"""Versions prepared in a process of its own: what is kept, what is refused, and who does not notice."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition, HeadraceError, Unavailable
from headrace.state.records import ArtifactFile, Batching, Provider, ServingConfig, VersionRecord
from headrace_inference.adapters.preparation.cache import MANIFEST
from headrace_inference.adapters.preparation.opening import Preparation, PreparingOpener
from headrace_inference.adapters.preparation.processes import (
    PreparingProcesses,
    open_preparing_processes,
)
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from headrace_inference.adapters.runtime.onnx_runtime import (
    OnnxRunner,
    RuntimeDefaults,
    open_session,
)
from headrace_inference.adapters.runtime.prepared_graph import GRAPH, WEIGHTS
from tests.unit.runtime_models import Tensor, identity, node, record_of, save
from tests.unit.test_runtime_resources import endless

GIGABYTE = 1 << 30
BATCHED = ServingConfig(provider=Provider.CPU, batching=Batching(max_batch_size=4))
SINGLE = ServingConfig(provider=Provider.CPU)


@contextmanager
def preparing(
    folder: Path,
    bounds: LoadBounds | None = None,
    max_bytes: int = GIGABYTE,
    tuning_seconds: float = 0.0,
) -> Iterator[tuple[PreparingOpener, PreparingProcesses]]:
    """An opener with a cache below a folder, and its processes."""
    defaults = RuntimeDefaults(cores=2, load_bounds=bounds or LoadBounds(60))
    with open_preparing_processes() as processes:
        preparation = Preparation(folder / "prepared", max_bytes, tuning_seconds)
        yield PreparingOpener(preparation, processes, defaults), processes


def layered(folder: Path, seed: int = 1) -> tuple[Path, VersionRecord]:
    """A graph that ONNX Runtime fuses, folds and packs: convolution, normalisation, matrices."""
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> Any:
        return random.normal(size=shape).astype(np.float32)

    nodes = [
        node("Conv", ["x", "k", "kb"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("Add", ["one", "one"], ["two"]),
        node("Mul", ["r", "two"], ["d"]),
        node("Flatten", ["d"], ["f"]),
        node("MatMul", ["f", "w"], ["m"]),
        node("Add", ["m", "b"], ["y"]),
    ]
    weights = [
        ("k", weight(8, 3, 3, 3)),
        ("kb", weight(8)),
        ("one", np.ones(1, np.float32)),
        ("w", weight(8 * 64, 32)),
        ("b", weight(32)),
    ]
    folder.mkdir(exist_ok=True)
    given = Tensor("x", Datatype.FP32, ["n", 3, 8, 8])
    path = save(
        folder / "model.onnx", nodes, [given], [Tensor("y", Datatype.FP32, ["n", 32])], weights
    )
    return path, replace(record_of(path, BATCHED), digest=f"digest-{folder.name}")


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


def images(rows: int = 3) -> Any:
    """Inputs for the layered graph."""
    return np.random.default_rng(9).normal(size=(rows, 3, 8, 8)).astype(np.float32)


def test_a_prepared_version_answers_bit_for_bit_as_one_that_is_not(tmp_path: Path) -> None:
    """Optimised once, saved, and opened as it is."""
    path, record = layered(tmp_path / "v")
    plain = open_session(path, record, RuntimeDefaults(cores=2))
    with preparing(tmp_path) as (opener, _):
        prepared = opener.open(path, record)
        (expected,), (actual,) = plain.run([images()]), prepared.run([images()])
    assert expected.tobytes() == actual.tobytes()
    assert {GRAPH, WEIGHTS, MANIFEST} == {file.name for file in entry(tmp_path).iterdir()}


def test_the_second_load_needs_no_process(tmp_path: Path) -> None:
    """What was saved by one replica's life is used by the next."""
    path, record = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, processes):
        opener.open(path, record).close()
        assert 1 == len(processes.pids())
    with preparing(tmp_path) as (opener, processes):
        opener.open(path, record).close()
        assert [] == processes.pids()


def test_loads_one_after_the_other_share_a_process(tmp_path: Path) -> None:
    """It is started once, and gone when nothing is prepared any more."""
    with preparing(tmp_path) as (opener, processes):
        for name in ("a", "b", "c"):
            opener.open(*layered(tmp_path / name)).close()
        (pid,) = processes.pids()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (GRAPH, garbage),
        (GRAPH, truncated),
        (WEIGHTS, truncated),
        (WEIGHTS, Path.unlink),
        (MANIFEST, garbage),
        (MANIFEST, Path.unlink),
    ],
)
def test_a_spoilt_entry_is_made_anew(
    tmp_path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    """Whatever happened to the disk, the version loads and answers as before."""
    path, record = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, _):
        expected = opener.open(path, record).run([images()])[0]
        before = (entry(tmp_path) / GRAPH).read_bytes()
        spoil(entry(tmp_path) / name)
        actual = opener.open(path, record).run([images()])[0]
        assert before == (entry(tmp_path) / GRAPH).read_bytes()
    assert expected.tobytes() == actual.tobytes()


def test_another_config_is_another_entry(tmp_path: Path) -> None:
    """What is saved depends on how it was opened."""
    path, record = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, _):
        opener.open(path, record).close()
        opener.open(path, replace(record, config=SINGLE)).close()
    assert 2 == len(list((tmp_path / "prepared" / record.digest).iterdir()))


def test_what_is_over_the_size_goes_but_not_what_is_in_use(tmp_path: Path) -> None:
    """The longest unused first."""
    with preparing(tmp_path, max_bytes=150_000) as (opener, _):
        kept = opener.open(*layered(tmp_path / "a"))
        opener.open(*layered(tmp_path / "b")).close()
        opener.open(*layered(tmp_path / "c")).close()
        there = {path.name for path in (tmp_path / "prepared").iterdir() if any(path.iterdir())}
        kept.run([images()])
    assert {"digest-a", "digest-c"} == there


def test_a_version_that_is_too_large_to_keep_is_opened_from_its_own_graph(tmp_path: Path) -> None:
    """It was tried out all the same."""
    path, record = layered(tmp_path / "v")
    record = replace(record, files=(ArtifactFile("model.onnx", 1000, ""),))
    with preparing(tmp_path, max_bytes=3000) as (opener, _):
        assert (3, 32) == opener.open(path, record).run([images()])[0].shape
    assert [MANIFEST] == [file.name for file in entry(tmp_path).iterdir()]


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
        wait_until(lambda: processes.pids(busy=True) == [pid])
        os.kill(pid, number)
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


def test_a_version_that_cannot_be_opened_says_so_as_ever(tmp_path: Path) -> None:
    """The child's error is the load's."""
    path = identity(tmp_path, Datatype.FP32)
    record = record_of(path, SINGLE)
    path.write_bytes(b"no graph")
    with preparing(tmp_path) as (opener, _), pytest.raises(FailedPrecondition) as caught:
        opener.open(path, record)
    assert "MODEL_UNLOADABLE" == caught.value.reason
    assert "onnx runtime cannot open m/1" in caught.value.message


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities here")
def test_a_preparing_process_gives_way(tmp_path: Path) -> None:
    """To those that serve, and to the kernel when memory runs out."""
    with preparing(tmp_path) as (opener, processes):
        opener.open(*layered(tmp_path / "v")).close()
        (pid,) = processes.pids()
        assert 10 == os.getpriority(os.PRIO_PROCESS, pid)
        assert os.SCHED_BATCH == os.sched_getscheduler(pid)
        assert "1000\n" == Path(f"/proc/{pid}/oom_score_adj").read_text()


def in_thread(stack: ExitStack, work: Callable[[], OnnxRunner]) -> Future[OnnxRunner]:
    """The work, begun in a thread that is joined at the end of the test."""
    return stack.enter_context(ThreadPoolExecutor(1)).submit(work)


def wait_until(happens: Callable[[], bool]) -> None:
    """Wait for what another thread does; the test's own time limit is the bound."""
    while not happens():
        os.sched_yield()


def entry(folder: Path) -> Path:
    """The only entry there."""
    (place,) = (folder / "prepared").glob("[!.]*/*")
    return place
