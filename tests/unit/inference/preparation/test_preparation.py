"""Versions prepared in a process of its own: what is kept, what is refused, and who does not notice."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition
from headrace.state.records import ArtifactFile
from headrace_inference.adapters.artifact_cache.file_checks import sha256
from headrace_inference.adapters.preparation.cache import MANIFEST
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.adapters.runtime.prepared_graph import GRAPH, WEIGHTS, PreparedGraph
from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan
from tests.unit.inference.preparation.fixtures import (
    SINGLE,
    entry,
    images,
    layered,
    preparing,
)
from tests.unit.inference.runtime.models import identity, record_of


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


def one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (GRAPH, garbage),
        (GRAPH, truncated),
        (WEIGHTS, truncated),
        (WEIGHTS, garbage),
        (WEIGHTS, one_bit),
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
    file = ArtifactFile("model.onnx", 1000, sha256(path))
    record = replace(record, files=(file,))
    with preparing(tmp_path, max_bytes=3000) as (opener, _):
        assert (3, 32) == opener.open(path, record).run([images()])[0].shape
    assert [MANIFEST] == [file.name for file in entry(tmp_path).iterdir()]


def test_a_version_that_cannot_be_opened_says_so_as_ever(tmp_path: Path) -> None:
    """The child's error is the load's."""
    path = identity(tmp_path, Datatype.FP32)
    record = record_of(path, SINGLE)
    path.write_bytes(b"no graph")
    with preparing(tmp_path) as (opener, _), pytest.raises(FailedPrecondition) as caught:
        opener.open(path, record)
    assert "MODEL_UNLOADABLE" == caught.value.reason
    assert "onnx runtime cannot open m/1" in caught.value.message


def test_what_callers_brought_leaves_nothing_behind(tmp_path: Path) -> None:
    """The prepared version lies with files that have no hash, and goes when they do."""
    path, record = layered(tmp_path / "v")
    record = replace(record, files=(ArtifactFile("model.onnx", path.stat().st_size, ""),))
    with preparing(tmp_path) as (opener, _):
        opener.open(path, record).close()
    assert {"model.onnx", ".prepared"} == {file.name for file in path.parent.iterdir()}
    assert [] == list((tmp_path / "prepared").iterdir())


def test_lone_requests_have_a_session_that_shares_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened with threads of its own, answers the same, and goes with the other."""
    path, record = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, _):
        opener.open(path, record).close()
    plan = ExecutionPlan(instances=2, intra_op_threads=1, single_request_threads=2)
    apart = PreparedGraph(plan, entry(tmp_path) / GRAPH)
    assert PreparedGraph(ExecutionPlan(1, 2), apart.graph) == apart.for_single_requests()
    sessions: list[tuple[int, weakref.ref[Any]]] = []
    opened = onnxruntime.InferenceSession

    def open_noted(path: str, options: Any, **others: Any) -> Any:
        session = opened(path, options, **others)
        sessions.append((options.intra_op_num_threads, weakref.ref(session)))
        return session

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_noted)
    runner = open_session(path, record, RuntimeDefaults(cores=2), apart)
    assert [1, 2] == [threads for threads, _ in sessions]
    assert runner.run([images()])[0].tobytes() == runner.run_alone([images()])[0].tobytes()
    assert [True, True] == [session() is not None for _, session in sessions]
    runner.close()
    assert [None, None] == [session() for _, session in sessions]


def test_without_shared_weights_there_is_no_second_session() -> None:
    """It would hold them twice."""
    plan = ExecutionPlan(instances=2, intra_op_threads=1, single_request_threads=2)
    assert PreparedGraph(plan).for_single_requests() is None


def test_two_loads_of_the_same_version_share_an_entry(tmp_path: Path) -> None:
    """Whoever comes second finds it, or leaves it as it is."""
    path, record = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, _), ThreadPoolExecutor(2) as pool:
        runners = list(pool.map(lambda _: opener.open(path, record), range(2)))
        answers = {runner.run([images()])[0].tobytes() for runner in runners}
    assert 1 == len(answers)
    assert {GRAPH, WEIGHTS, MANIFEST} == {file.name for file in entry(tmp_path).iterdir()}


def test_a_graph_that_is_saved_with_other_inputs_is_opened_from_its_own(tmp_path: Path) -> None:
    """ONNX Runtime leaves inputs over where it folds what depended on the shape of a weight."""
    path, record = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, _):
        opener.open(path, record).close()
        saved = onnx.load(entry(tmp_path) / GRAPH, load_external_data=False)
        extra = onnx.helper.make_tensor_value_info("weight_SHAPE", onnx.TensorProto.INT64, [1])
        saved.graph.input.append(extra)
        onnx.save(saved, tmp_path / "other.onnx")
        prepared = PreparedGraph(graph=tmp_path / "other.onnx")
        (tmp_path / WEIGHTS).hardlink_to(entry(tmp_path) / WEIGHTS)
    with pytest.raises(FailedPrecondition) as caught:
        open_session(path, record, RuntimeDefaults(cores=1), prepared)
    assert "MODEL_UNLOADABLE" == caught.value.reason
    assert "other inputs" in caught.value.message


def test_loads_side_by_side_prune_what_the_others_add(tmp_path: Path) -> None:
    """In a cache that has room for none of them, each of them opens and answers."""
    versions = [layered(tmp_path / f"v{place}", seed=place) for place in range(5)]
    with preparing(tmp_path, max_bytes=100_000) as (opener, _), ThreadPoolExecutor(5) as pool:
        runners = list(pool.map(lambda given: opener.open(*given), versions))
        answers = {runner.run([images()])[0].tobytes() for runner in runners}
    assert len(versions) == len(answers)
