"""The check for graphs that mix rows, on real graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from headrace_registry.adapters.graph_check import check_graph
from tests.rpc.registry_fixtures import graph_file

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
BFLOAT16 = TensorProto.BFLOAT16


def mixes(
    folder: Path,
    nodes: Sequence[Any],
    given: tuple[int, Sequence[int | str]] = (FLOAT, ("n", 4)),
    answer: tuple[int, Sequence[int | str]] = (FLOAT, ("n", 4)),
) -> bool:
    """Whether a graph from x to y is found to mix rows."""
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info("x", *given)],
        [helper.make_tensor_value_info("y", *answer)],
        [
            helper.make_tensor("one", INT64, [], [1]),
            helper.make_tensor("zero", INT64, [1], [0]),
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        ],
    )
    (folder / "model.onnx").write_bytes(graph_file(graph))
    return check_graph(folder, "model.onnx").mixes_rows


def node(operator: str, *inputs: str, **attributes: Any) -> Any:
    """A node from these inputs to y."""
    return helper.make_node(operator, inputs, ["y"], **attributes)


def endless() -> Any:
    """A loop that never ends."""
    body = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name} out"]) for name in ("go", "rows")],
        "body",
        [
            helper.make_tensor_value_info("step", INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("rows", FLOAT, ["n", 4]),
        ],
        [
            helper.make_tensor_value_info("go out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("rows out", FLOAT, ["n", 4]),
        ],
    )
    return node("Loop", "", "yes", "x", body=body)


@pytest.mark.parametrize(
    ("expected", "graph"),
    [
        (False, node("Relu", "x")),
        (False, node("Softmax", "x", axis=1)),
        (True, node("Softmax", "x", axis=0)),
        (True, node("CumSum", "x", "zero")),
        (True, node("EyeLike", "x")),
        (False, node("CumSum", "x", "one")),
        (False, node("Reshape", "x", "zero")),
    ],
    ids=["relu", "softmax 1", "softmax 0", "sum down", "eye", "sum across", "no run"],
)
def test_rows_that_change_one_another_are_found(expected: bool, graph: Any, tmp_path: Path) -> None:
    """Rows are compared together and alone; a graph that does not run on them is not judged."""
    assert expected == mixes(tmp_path, [graph])


@pytest.mark.parametrize(
    ("expected", "given", "answer"),
    [
        (False, (FLOAT, (2, 4)), (FLOAT, (2, 4))),
        (False, (BFLOAT16, ("n", 4)), (BFLOAT16, ("n", 4))),
        (False, (STRING, ("n", "m")), (STRING, ("n", "m"))),
        (False, (FLOAT, ("n", 1 << 26)), (FLOAT, ("n", 1 << 26))),
    ],
    ids=["fixed", "bfloat16", "strings", "too large"],
)
def test_what_cannot_be_tried_is_not_judged(
    expected: bool,
    given: tuple[int, Sequence[int | str]],
    answer: tuple[int, Sequence[int | str]],
    tmp_path: Path,
) -> None:
    """Fixed rows, BF16 and large rows are not tried; strings are."""
    assert expected == mixes(tmp_path, [node("Identity", "x")], given, answer)


def test_a_graph_that_does_not_end_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is ended when its time is up, and it stays as its signature says."""
    monkeypatch.setattr("headrace_registry.adapters.row_check.MAX_SECONDS", 0.2)
    assert not mixes(tmp_path, [endless()])
