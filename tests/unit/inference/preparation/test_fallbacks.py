"""Preparing is no condition: what it cannot do, or dies of, leaves the graph as it was pushed."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from headrace.datatypes import Datatype
from headrace.errors import Unavailable
from headrace.state.codec import decode, encode
from headrace.state.records import ServingConfig, VersionRecord, WarmUp
from headrace_inference.adapters.artifact_cache.file_checks import tree_digest
from headrace_inference.adapters.preparation.cache import FORMAT, MANIFEST, Kept, Manifest
from headrace_inference.adapters.preparation.cached_opener import PreparingOpener
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner, open_session
from headrace_inference.adapters.runtime.prepared_graph import GRAPH, WEIGHTS
from tests.unit.inference.preparation.fixtures import BATCHED, entry, images, layered, preparing
from tests.unit.inference.preparation.test_sandbox_processes import wait_until
from tests.unit.inference.runtime.models import Tensor, node, record_of, save
from tests.unit.inference.runtime.test_resources import endless


def weight(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def weights(hidden: int) -> list[tuple[str, Any]]:
    """Matrices, the second after a bias of a kilobyte or more."""
    return [
        ("w1", weight(16, hidden)),
        ("b1", weight(hidden)),
        ("w2", weight(hidden, 10)),
        ("b2", weight(10)),
    ]


def perceptron(folder: Path, hidden: int) -> tuple[Path, VersionRecord]:
    """Two layers with so many units between them."""
    nodes = [
        node("Gemm", ["x", "w1", "b1"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("Gemm", ["r", "w2", "b2"], ["y"]),
    ]
    return saved(folder, nodes, weights(hidden))


def layers_in_a_branch(folder: Path) -> tuple[Path, VersionRecord]:
    """The same two layers in a branch that only numbers over 100 take."""
    layers = [
        node("Gemm", ["x", "w1", "b1"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("Gemm", ["r", "w2", "b2"], ["layers"]),
    ]
    constant = [
        node("ReduceSum", ["x", "axes"], ["s"], keepdims=1),
        node("Expand", ["s", "shape"], ["sums"]),
    ]
    then, other = (
        onnx.helper.make_graph(
            nodes, name, [], [onnx.helper.make_tensor_value_info(name, 1, ["n", 10])]
        )
        for name, nodes in (("layers", layers), ("sums", constant))
    )
    nodes = [
        node("ReduceMax", ["x"], ["top"], keepdims=0),
        node("Greater", ["top", "limit"], ["over"]),
        node("If", ["over"], ["y"], then_branch=then, else_branch=other),
    ]
    others = [
        ("limit", np.float32(100)),
        ("axes", np.array([1])),
        ("shape", np.array([1, 10])),
    ]
    return saved(folder, nodes, [*weights(300), *others])


def saved(
    folder: Path, nodes: list[Any], tensors: list[tuple[str, Any]]
) -> tuple[Path, VersionRecord]:
    given, made = Tensor("x", Datatype.FP32, ["n", 16]), Tensor("y", Datatype.FP32, ["n", 10])
    folder.mkdir(exist_ok=True)
    path = save(folder / "model.onnx", nodes, [given], [made], tensors)
    return path, replace(record_of(path, BATCHED), digest=f"digest-{folder.name}")


def answers(runner: OnnxRunner, value: float = 1.0) -> bytes:
    (answer,) = runner.run([np.full((2, 16), value, np.float32)])
    return answer.tobytes()


@pytest.mark.parametrize("hidden", [256, 300, 500, 1000])
def test_any_number_of_hidden_units(tmp_path: Path, hidden: int) -> None:
    """Where weights lie in the saved file depends on the sizes of those before them."""
    path, record = perceptron(tmp_path / "v", hidden)
    plain = open_session(path, record, RuntimeDefaults(cores=2))
    with preparing(tmp_path) as (opener, _):
        runner = opener.open(path, record)
        assert ("prepared", "") == (runner.graph, runner.remark)
        assert answers(plain) == answers(runner)


def test_layers_in_a_branch_that_no_trial_takes(tmp_path: Path) -> None:
    """Nothing is saved whose safety only a trial of all branches could show."""
    path, record = layers_in_a_branch(tmp_path / "v")
    plain = open_session(path, record, RuntimeDefaults(cores=2))
    with preparing(tmp_path) as (opener, _):
        runner = opener.open(path, record)
        assert b"prepacked" not in (entry(tmp_path) / GRAPH).read_bytes()
        for value in (1.0, 200.0):
            assert answers(plain, value) == answers(runner, value)


def spoil_with_packed_weights(path: Path, place: Path, format_number: int) -> None:
    """Put a graph with packed weights into an entry, which ends whatever process opens and runs it."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(place / GRAPH)
    for name, value in (
        ("optimized_model_external_initializers_file_name", WEIGHTS),
        ("optimized_model_external_initializers_min_size_in_bytes", "1024"),
        ("save_external_prepacked_constant_initializers", "1"),
    ):
        options.add_session_config_entry(f"session.{name}", value)
    (place / WEIGHTS).unlink()
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    manifest = decode(Manifest, (place / MANIFEST).read_bytes())
    files = {
        name: Kept((place / name).stat().st_size, tree_digest(place / name))
        for name in (GRAPH, WEIGHTS)
    }
    (place / MANIFEST).write_bytes(encode(replace(manifest, files=files, format=format_number)))


def prepared_once(tmp_path: Path, opener: PreparingOpener) -> tuple[Path, VersionRecord, bytes]:
    path, record = perceptron(tmp_path / "v", 300)
    record = replace(record, config=replace(record.config, instances=0))
    runner = opener.open(path, record)
    expected = answers(runner)
    runner.close()
    return path, record, expected


def test_entries_of_former_releases_are_not_used(tmp_path: Path) -> None:
    """They have packed weights, and lie where a release with the same key left them."""
    with preparing(tmp_path) as (opener, _):
        path, record, expected = prepared_once(tmp_path, opener)
        spoil_with_packed_weights(path, entry(tmp_path), FORMAT - 1)
        assert expected == answers(opener.open(path, record))
        assert b"prepacked" not in (entry(tmp_path) / GRAPH).read_bytes()


def test_what_is_not_to_be_warmed_opens_though_it_never_ends_on_made_up_inputs(
    tmp_path: Path,
) -> None:
    """Neither comparing nor measuring it holds up its load for ever."""
    (tmp_path / "v").mkdir()
    path = endless(tmp_path / "v", node("Add", ["value", "x"], ["next"]))
    record = record_of(path, ServingConfig(warm_up=WarmUp(runs=0)))
    with preparing(tmp_path, LoadBounds(30), tuning_seconds=1.0) as (opener, _):
        assert "prepared" == opener.open(path, record).graph


def test_a_folder_that_takes_nothing_costs_the_saved_graph_only(tmp_path: Path) -> None:
    """Not the replica's start, nor the version, which is tried out and opened all the same."""
    (tmp_path / "prepared").write_bytes(b"no folder")
    with preparing(tmp_path) as (opener, _):
        runner = opener.open(*layered(tmp_path / "v"))
        assert (3, 32) == runner.run([images()])[0].shape
        assert "pushed" == runner.graph
        assert "its optimised graph cannot be kept" in runner.remark


def killed_at_first(
    opener: PreparingOpener, processes: Any, given: tuple[Path, VersionRecord], number: int
) -> OnnxRunner:
    """What comes of a load whose first process is ended."""
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(lambda: opener.open(*given))
        wait_until(lambda: bool(processes.pids(busy=True)))
        os.kill(processes.pids(busy=True)[0], number)
        return loading.result()


def test_a_process_that_crashed_may_have_crashed_of_saving(tmp_path: Path) -> None:
    """The version is tried again without, before anybody blames it."""
    given = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, processes):
        runner = killed_at_first(opener, processes, given, signal.SIGSEGV)
        assert (3, 32) == runner.run([images()])[0].shape
        assert "pushed" == runner.graph
        assert "its optimised graph fails (LOAD_CRASHED)" in runner.remark


def test_a_process_that_was_killed_may_have_taken_too_much_for_saving(tmp_path: Path) -> None:
    """It is told, and the next try saves nothing."""
    given = layered(tmp_path / "v")
    with preparing(tmp_path) as (opener, processes):
        with pytest.raises(Unavailable) as caught:
            killed_at_first(opener, processes, given, signal.SIGKILL)
        assert "LOAD_KILLED" == caught.value.reason
        runner = opener.open(*given)
        assert ("pushed", [MANIFEST]) == (
            runner.graph,
            [each.name for each in entry(tmp_path).iterdir()],
        )
