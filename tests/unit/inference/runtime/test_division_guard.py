"""Integer division: no caller's numbers end the process, and all others give what they gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace_inference.adapters.runtime.division_guard import guarded, guarded_graph
from headrace_inference.domain.scheduling.requests import Array

KINDS = {np.int32: TensorProto.INT32, np.int64: TensorProto.INT64, np.float32: TensorProto.FLOAT}


def save(
    path: Path,
    nodes: list[Any],
    inputs: dict[str, Any],
    constants: dict[str, Array],
    opset: int = 17,
) -> Path:
    """A graph from these inputs of these types to y of the first one's."""
    first = KINDS[next(iter(inputs.values()))]
    graph = helper.make_graph(
        nodes,
        "division",
        [helper.make_tensor_value_info(name, KINDS[kind], ["n"]) for name, kind in inputs.items()],
        [helper.make_tensor_value_info("y", first, ["n"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def run(graph: bytes | Path, **inputs: Array) -> Array:
    """What ONNX Runtime answers."""
    source = graph if isinstance(graph, bytes) else str(graph)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    answer: Array = session.run(None, inputs)[0]
    return answer


def in_branches(node: Any) -> Any:
    """An If whose both branches are this node."""
    output = helper.make_tensor_value_info("inner", TensorProto.INT64, ["n"])
    node.output[0] = "inner"
    branch = helper.make_graph([node], "branch", [], [output])
    return helper.make_node("If", ["always"], ["y"], then_branch=branch, else_branch=branch)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("operator", ["Div", "Mod"])
def test_the_numbers_that_trap(tmp_path: Path, operator: str, dtype: Any) -> None:
    """The smallest integer over -1 has an answer, and all other numbers have the one that they had."""
    node = helper.make_node(operator, ["a", "b"], ["y"])
    path = save(tmp_path / "m.onnx", [node], {"a": dtype, "b": dtype}, {})
    guarded = guarded_graph(path)
    assert guarded is not None
    least = np.iinfo(dtype).min
    trapping = np.array([least, least, 7], dtype), np.array([-1, 2, -1], dtype)
    expected = {"Div": [least, least // 2, -7], "Mod": [0, 0, 0]}[operator]
    assert expected == run(guarded, a=trapping[0], b=trapping[1]).tolist()
    a = np.array([7, -7, 7, -7, 0, least, least + 1], dtype)
    b = np.array([2, 2, -3, -3, -1, 1, -1], dtype)
    np.testing.assert_array_equal(run(path, a=a, b=b), run(guarded, a=a, b=b))


def test_a_division_in_a_branch(tmp_path: Path) -> None:
    """Graphs in nodes are guarded, too."""
    branch = in_branches(helper.make_node("Div", ["a", "b"], ["y"]))
    path = save(
        tmp_path / "m.onnx", [branch], {"a": np.int64, "b": np.int64}, {"always": np.array(True)}
    )
    guarded = guarded_graph(path)
    assert guarded is not None
    least = np.array([np.iinfo(np.int64).min])
    assert least.tolist() == run(guarded, a=least, b=np.array([-1])).tolist()


def test_a_type_that_is_inferred(tmp_path: Path) -> None:
    """The type of what is divided need not be declared."""
    nodes = [
        helper.make_node("Cast", ["a"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Cast", ["b"], ["by"], to=TensorProto.INT64),
        helper.make_node("Div", ["whole", "by"], ["quotient"]),
        helper.make_node("Cast", ["quotient"], ["y"], to=TensorProto.FLOAT),
    ]
    path = save(tmp_path / "m.onnx", nodes, {"a": np.float32, "b": np.float32}, {})
    guarded = guarded_graph(path)
    assert guarded is not None
    lowest, minus = np.array([-(2.0**63)], np.float32), np.array([-1], np.float32)
    assert [-(2.0**63)] == run(guarded, a=lowest, b=minus).tolist()


def test_a_constant_of_minus_one(tmp_path: Path) -> None:
    """A constant divisor is guarded only where it has a -1."""
    node = helper.make_node("Div", ["a", "by"], ["y"])
    places = {value: tmp_path / f"{value}.onnx" for value in (-1, 2)}
    for value, path in places.items():
        save(path, [node], {"a": np.int64}, {"by": np.array([value])})
    assert guarded_graph(places[2]) is None
    guarded = guarded_graph(places[-1])
    assert guarded is not None
    least = np.array([np.iinfo(np.int64).min])
    assert least.tolist() == run(guarded, a=least).tolist()


def test_what_needs_no_guard(tmp_path: Path) -> None:
    """Division of floats, graphs without division, and files that are no graphs stay as they are."""
    inputs = {"a": np.float32, "b": np.float32}
    floats = save(
        tmp_path / "floats.onnx", [helper.make_node("Div", ["a", "b"], ["y"])], inputs, {}
    )
    none = save(tmp_path / "none.onnx", [helper.make_node("Mul", ["a", "b"], ["y"])], inputs, {})
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"\x22\x03Div garbage")
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    paths = (floats, none, garbage, empty, tmp_path / "missing.onnx")
    assert [None] * 5 == [guarded_graph(path) for path in paths]


def test_a_graph_with_external_data(tmp_path: Path) -> None:
    """The changed copy lies beside the graph, where its data is, and goes when it was read."""
    node = helper.make_node("Div", ["a", "by"], ["y"])
    path = save(tmp_path / "m.onnx", [node], {"a": np.int64}, {"by": np.full(400, -1)})
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="m.data")
    least = np.full(400, np.iinfo(np.int64).min)
    with guarded(path) as copy:
        assert path.parent == copy.parent
        assert least.tolist() == run(copy, a=least).tolist()
    assert ["m.data", "m.onnx"] == sorted(each.name for each in tmp_path.iterdir())


def test_a_name_of_two_types(tmp_path: Path) -> None:
    """A name that two branches use for different types tells nothing: the graph stays as it is."""
    branches = []
    for kind in (np.int64, np.float32):
        nodes = [
            helper.make_node("Cast", ["a"], ["t"], to=KINDS[kind]),
            helper.make_node("Div", ["t", "t"], ["q"]),
            helper.make_node("Cast", ["q"], ["out"], to=TensorProto.INT64),
        ]
        output = helper.make_tensor_value_info("out", TensorProto.INT64, ["n"])
        branches.append(helper.make_graph(nodes, "branch", [], [output]))
    choice = helper.make_node(
        "If", ["always"], ["y"], then_branch=branches[0], else_branch=branches[1]
    )
    path = save(tmp_path / "m.onnx", [choice], {"a": np.int64}, {"always": np.array(False)})
    with guarded(path) as same:
        assert [1, 1] == run(same, a=np.array([3, 5])).tolist()


@pytest.mark.parametrize("ir_version", [4, 10])
def test_a_divisor_that_callers_may_replace(tmp_path: Path, ir_version: int) -> None:
    """A constant divisor that is an input, too, is only a default: a caller may send -1 for it."""
    inputs = {"x": np.int64, "by": np.int64}
    node = helper.make_node("Div", ["x", "by"], ["y"])
    path = save(tmp_path / "m.onnx", [node], inputs, {"by": np.array([7], np.int64)}, opset=9)
    model = onnx.load(path)
    model.ir_version = ir_version
    onnx.save(model, path)
    graph = guarded_graph(path)
    assert graph is not None
    run(graph, x=np.array([-(2**63)], np.int64), by=np.array([-1], np.int64))
    assert [2] == run(graph, x=np.array([14], np.int64)).tolist()
