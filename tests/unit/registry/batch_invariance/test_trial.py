"""The trial of rows on real graphs: what it sees, and what it cannot try."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from headrace_registry.adapters.batch_invariance import trial
from headrace_registry.adapters.checks.graph_check import check_graph
from headrace_registry.domain.decisions.default_config import BatchInvariance
from tests.unit.registry.batch_invariance.row_graphs import INT64, model, node, value
from tests.unit.registry.batch_invariance.test_rules import i64

F = np.float32
BFLOAT16, STRING, FLOAT16 = TensorProto.BFLOAT16, TensorProto.STRING, TensorProto.FLOAT16


def fault(folder: Path, *nodes: Any, x: Any = None, y: Any = None, **weights: Any) -> str:
    """What the trial alone finds in a graph from x to y, as if all was proven of it."""
    built = model(nodes, [x or value("x")], [y or value("y", ["n", 4])], weights)
    (folder / "model.onnx").write_bytes(built.SerializeToString())
    checked = check_graph(folder, "model.onnx", prove=lambda _: BatchInvariance())
    return checked.invariance.obstacle


@pytest.mark.parametrize(
    ("expected", "nodes"),
    [
        ("", [node("Relu", "x")]),
        ("", [node("Softmax", "x", axis=1)]),
        ("another value", [node("Softmax", "x", axis=0)]),
        ("another value", [node("CumSum", "x", "zero")]),
        ("another value", [node("EyeLike", "x")]),
        ("", [node("CumSum", "x", "one")]),
        ("did not run on the rows", [node("Reshape", "x", "seven")]),
        (
            "another value",
            [
                node("DynamicQuantizeLinear", "x", outputs=["q", "s", "z"]),
                node("DequantizeLinear", "q", "s", "z"),
            ],
        ),
    ],
    ids=["relu", "softmax 1", "softmax 0", "sum down", "eye", "sum across", "no run", "loud"],
)  # fmt: skip
def test_rows_are_compared_together_and_alone(
    expected: str, nodes: Sequence[Any], tmp_path: Path
) -> None:
    """A row must give beside any other what it gives alone; what does not run counts as no."""
    found = fault(
        tmp_path,
        *nodes,
        one=np.int64(1),
        zero=np.int64(0),
        seven=i64(0, 7),
    )
    assert bool(expected) == bool(found)
    assert expected in found


def test_rows_are_counted(tmp_path: Path) -> None:
    """Another number of rows than went in is seen, though the output's first dimension is free."""
    found = fault(
        tmp_path,
        node("NonZero", "x", outputs=["z"]),
        node("Transpose", "z", perm=[1, 0]),
        y=value("y", ["n", 2], INT64),
    )
    assert "on trial 1 rows gave 4 in output 'y'" == found


def test_other_sizes_are_tried_where_the_first_do_not_run(tmp_path: Path) -> None:
    """A graph that wants multiples of 5 samples is tried with 20; that it mixes rows is then seen."""
    wave, answer = value("x", ["n", "samples"]), value("y", ["n", "frames", 5])
    frames = node("Reshape", "x", "shape", outputs=["f"])
    shape, down, across = i64(0, -1, 5), i64(0), i64(2)
    for axes, expected in ((down, "another value"), (across, "")):
        nodes = [frames, node("ReduceMean", "f", "axes", outputs=["m"]), node("Sub", "f", "m")]
        found = fault(tmp_path, *nodes, x=wave, y=answer, shape=shape, axes=axes)
        assert bool(expected) == bool(found)
        assert expected in found


@pytest.mark.parametrize(
    ("expected", "element", "shape"),
    [
        ("BF16 tensors cannot be tried", BFLOAT16, ("n", 4)),
        ("", STRING, ("n", "m")),
        ("", FLOAT16, ("n", 4)),
        ("", INT64, ("n",)),
        ("too large to be tried", TensorProto.FLOAT, ("n", 1 << 26)),
    ],
    ids=["bfloat16", "strings", "half", "whole numbers", "too large"],
)
def test_what_cannot_be_tried_counts_as_no(
    expected: str, element: int, shape: Sequence[int | str], tmp_path: Path
) -> None:
    """BF16 and large rows are not tried, and the reason says so; strings and other numbers are."""
    x, y = value("x", shape, element), value("y", shape, element)
    assert expected == fault(tmp_path, node("Identity", "x"), x=x, y=y).replace("its rows are ", "")


def test_a_graph_that_takes_too_long_counts_as_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is ended when the time for a trial is up."""
    monkeypatch.setattr(trial, "MAX_SECONDS", 0.2)
    body = model(
        [node("Identity", "go", outputs=["on"]), node("Identity", "s", outputs=["t"])],
        [value("i", [], INT64), value("go", [], TensorProto.BOOL), value("s")],
        [value("on", [], TensorProto.BOOL), value("t")],
    ).graph
    endless = node("Loop", "", "yes", "x", body=body)
    assert "took more than 0.2 s" in fault(tmp_path, endless, yes=np.array(True))


def test_a_row_that_is_slow_counts_as_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row is measured first: where twenty do not fit into the time, none of them is run."""
    monkeypatch.setattr(trial, "MAX_SECONDS", 0.1)
    side = 768
    nodes = [node("MatMul", "x", "w", outputs=["t0"])]
    nodes += [node("MatMul", f"t{i}", "w", outputs=[f"t{i + 1}"]) for i in range(4)]
    shape = ("n", side, side)
    found = fault(
        tmp_path,
        *nodes,
        node("Identity", "t4"),
        x=value("x", shape),
        y=value("y", shape),
        w=np.ones((side, side), F),
    )
    assert "one row takes" in found or "took more than" in found


def test_memory_bounds_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that takes more memory than a trial may is not multiplied."""
    monkeypatch.setattr(trial, "MAX_ROW_BYTES", 8 << 20)
    shape = ("n", 1 << 14, 1 << 10)
    x = value("x", ("n", 1 << 14, 1))
    nodes = [node("Expand", "x", "s", outputs=["e"]), node("Exp", "e")]
    found = fault(tmp_path, *nodes, x=x, y=value("y", shape), s=i64(1, 1 << 14, 1 << 10))
    assert "of memory" in found
