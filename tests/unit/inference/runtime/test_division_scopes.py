"""Integer division wherever a graph can hide it: functions, branches, loops, values of no declared type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace_inference.adapters.runtime.division_guard import guarded, guarded_graph
from tests.unit.inference.runtime.test_division_guard import run

LEAST = int(np.iinfo(np.int64).min)
DIVIDE = helper.make_node("Div", ["a", "b"], ["c"])
MINE = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]


def save(
    folder: Path,
    nodes: list[Any],
    kind: int = TensorProto.INT64,
    functions: tuple[Any, ...] = (),
    opset: int = 17,
    constants: dict[str, Any] | None = None,
    inputs: tuple[str, ...] = ("x", "y"),
) -> Path:
    """A graph from x and y to z, with functions of the domain `mine`."""
    values = [helper.make_tensor_value_info(name, kind, ["n"]) for name in (*inputs, "z")]
    weights = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "division", values[:-1], values[-1:], weights)
    domains = {"": opset, "mine": 1, "com.microsoft": 1}
    imports = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    model = helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=9)
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def function(name: str, nodes: list[Any]) -> Any:
    return helper.make_function("mine", name, ["a", "b"], ["c"], nodes, MINE)


def call(name: str, *, given: tuple[str, str] = ("x", "y"), made: str = "z") -> Any:
    return helper.make_node(name, list(given), [made], domain="mine")


def branch(*nodes: Any, kind: int = TensorProto.INT64) -> Any:
    """An If whose both branches have these nodes, of which the last makes `inner`."""
    value = helper.make_tensor_value_info("inner", kind, None)
    graph = helper.make_graph(nodes, "branch", [], [value])
    return helper.make_node("If", ["always"], ["z"], then_branch=graph, else_branch=graph)


def loop(*nodes: Any) -> Any:
    """A loop of one turn that carries x, as `carried` of no declared type, to `next`."""
    body = helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_empty_tensor_value_info("carried"),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_empty_tensor_value_info("next"),
        ],
    )
    return helper.make_node("Loop", ["once", "always", "x"], ["z"], body=body)


CONSTANTS = {"always": np.array(True), "once": np.array(1), "first": np.array(0)}
NESTED = function("Outer", [call("Divide", given=("a", "b"), made="c")])
IN_A_BRANCH_OF_A_FUNCTION = function(
    "Branched",
    [
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node(
            "If",
            ["yes"],
            ["c"],
            then_branch=helper.make_graph(
                [helper.make_node("Div", ["a", "b"], ["t"])],
                "then",
                [],
                [helper.make_tensor_value_info("t", TensorProto.INT64, None)],
            ),
            else_branch=helper.make_graph(
                [helper.make_node("Identity", ["a"], ["e"])],
                "else",
                [],
                [helper.make_tensor_value_info("e", TensorProto.INT64, None)],
            ),
        ),
    ],
)
SEQUENCES = [
    helper.make_node("SequenceConstruct", ["x"], ["sx"]),
    helper.make_node("SequenceConstruct", ["y"], ["sy"]),
    helper.make_node("SequenceAt", ["sx", "first"], ["a"]),
    helper.make_node("SequenceAt", ["sy", "first"], ["b"]),
]

UNTOLD = [
    *SEQUENCES,
    helper.make_node("Div", ["a", "b"], ["quotient"]),
    helper.make_node("Identity", ["quotient"], ["inner"]),
]
"""A division of which neither what it takes nor what it gives has a type that a schema tells."""


@pytest.mark.parametrize(
    ("nodes", "functions"),
    [
        pytest.param([call("Divide")], (function("Divide", [DIVIDE]),), id="a function"),
        pytest.param([call("Outer")], (function("Divide", [DIVIDE]), NESTED), id="one in another"),
        pytest.param([call("Branched")], (IN_A_BRANCH_OF_A_FUNCTION,), id="a branch of a function"),
        pytest.param(
            [branch(call("Divide", made="inner"))],
            (function("Divide", [DIVIDE]),),
            id="a function in a branch",
        ),
        pytest.param(
            [helper.make_node("Div", ["x", "y"], ["z"], domain="ai.onnx")],
            (),
            id="the long name of ONNX's domain",
        ),
        pytest.param(
            [
                loop(
                    helper.make_node("Identity", ["go"], ["go_on"]),
                    helper.make_node("Div", ["carried", "y"], ["next"]),
                )
            ],
            (),
            id="a loop",
        ),
        pytest.param(
            [*SEQUENCES, helper.make_node("Div", ["a", "b"], ["z"])], (), id="of a sequence"
        ),
        pytest.param(
            [branch(*UNTOLD)],
            (),
            id="of a sequence in a branch",
        ),
    ],
)
def test_no_place_to_hide(tmp_path: Path, nodes: list[Any], functions: tuple[Any, ...]) -> None:
    """The smallest integer over -1 has an answer, and 7 over 2 is 3."""
    path = save(tmp_path, nodes, functions=functions, constants=CONSTANTS)
    x, y = np.array([LEAST, 7, -7, 0]), np.array([-1, 2, 2, -1])
    with guarded(path) as copy:
        assert path != copy
        assert [LEAST, 3, -3, 0] == run(copy, x=x, y=y).tolist()
        np.testing.assert_array_equal(run(path, x=x[1:], y=y[1:]), run(copy, x=x[1:], y=y[1:]))


def test_a_remainder_in_a_function(tmp_path: Path) -> None:
    """It is 0, as for all numbers over -1."""
    remainder = function("Rest", [helper.make_node("Mod", ["a", "b"], ["c"])])
    path = save(tmp_path, [call("Rest")], functions=(remainder,))
    graph = guarded_graph(path)
    assert graph is not None
    assert [0, 1] == run(graph, x=np.array([LEAST, 7]), y=np.array([-1, 2])).tolist()


@pytest.mark.parametrize("opset", [7, 8, 9, 11, 13, 14, 17, 21])
def test_opsets(tmp_path: Path, opset: int) -> None:
    """Nothing that is used came later than the model."""
    path = save(tmp_path, [helper.make_node("Div", ["x", "y"], ["z"])], opset=opset)
    graph = guarded_graph(path)
    assert graph is not None
    assert [LEAST] == run(graph, x=np.array([LEAST]), y=np.array([-1])).tolist()


def test_a_value_that_an_operator_of_the_runtimes_own_makes(tmp_path: Path) -> None:
    """Its type is asked of ONNX Runtime."""
    nodes = [
        helper.make_node("Range", ["low", "high", "step"], ["by"], domain="com.microsoft"),
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Identity", ["by"], ["divisor"]),
        helper.make_node("Div", ["divisor", "divisor"], ["one"]),
        helper.make_node("Add", ["whole", "one"], ["z"]),
    ]
    names = ("low", "high", "step")
    constants = dict(zip(names, map(np.array, (-3, 0, 1)), strict=True))
    path = save(tmp_path, nodes, constants=constants, opset=13, inputs=("x",))
    with guarded(path) as copy:
        assert path != copy
        assert [2, 3, 4] == run(copy, x=np.array([1, 2, 3])).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.uint8, np.uint32])
def test_what_no_type_is_known_of_keeps_every_bit(tmp_path: Path, dtype: Any) -> None:
    """Fractions have a zero with a sign; the largest number without a sign looks like -1."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    path = save(tmp_path, [branch(*UNTOLD, kind=kind)], kind=kind, constants=CONSTANTS)
    if np.issubdtype(dtype, np.floating):
        pairs = [(0.0, -1), (-0.0, -1), (np.nan, -1), (np.inf, -1), (1, -0.0), (5, np.nan)]
    else:
        most = np.iinfo(dtype).max
        pairs = [(most, most), (5, most), (5, 1), (0, 3)]
    x, y = (np.array(column, dtype) for column in zip(*pairs, strict=True))
    with guarded(path) as copy:
        assert path != copy
        assert run(path, x=x, y=y).tobytes() == run(copy, x=x, y=y).tobytes()


def test_a_weight_that_callers_may_send_is_no_constant(tmp_path: Path) -> None:
    """Its default is harmless, and what is sent in its place need not be."""
    node = helper.make_node("Div", ["x", "y"], ["z"])
    path = save(tmp_path, [node], constants={"y": np.array([2])})
    with guarded(path) as copy:
        assert [LEAST] == run(copy, x=np.array([LEAST]), y=np.array([-1])).tolist()


def test_what_cannot_trap_stays_as_it_is(tmp_path: Path) -> None:
    """Functions of fractions, C's remainder, numbers without a sign, and types that schemas tell."""
    divide = function("Divide", [DIVIDE])
    like_c = helper.make_node("Mod", ["x", "y"], ["z"], fmod=1)
    untold = [
        helper.make_node("LayerNormalization", ["x", "x"], ["n"]),
        helper.make_node("Softmax", ["n"], ["s"]),
        helper.make_node("Div", ["s", "y"], ["z"]),
    ]
    graphs = [
        guarded_graph(save(tmp_path, nodes, kind, functions))
        for nodes, kind, functions in (
            ([call("Divide")], TensorProto.FLOAT, (divide,)),
            ([like_c], TensorProto.INT64, ()),
            ([helper.make_node("Div", ["x", "y"], ["z"])], TensorProto.UINT64, ()),
            (untold, TensorProto.FLOAT, ()),
        )
    ]
    assert [None] * 4 == graphs
