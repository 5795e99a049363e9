"""Graphs that ONNX's suite has not, each with something that a server may stumble over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from headrace.datatypes import BFLOAT16
from tests.conformance.cases import Case, DataSet

KIND = "odd"
JSON_NAME = '{"name": "x", "shape": [1, -1], "datatype": "FP32"}'
NAMES = (
    JSON_NAME,
    "onnx::Flatten_0",
    "Identity:0",
    "serving_default/x y\tz",
    "größe-数",
    "'quoted' \"twice\" \\",
    "n" * 3000,
    "0",
)
"""Names of tensors; real exporters make most of these."""

_ELEMENTS = {
    np.dtype(np.bool_): TensorProto.BOOL,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.uint16): TensorProto.UINT16,
    np.dtype(np.uint32): TensorProto.UINT32,
    np.dtype(np.uint64): TensorProto.UINT64,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.int16): TensorProto.INT16,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    BFLOAT16: TensorProto.BFLOAT16,
    np.dtype(np.object_): TensorProto.STRING,
}

Dims = Sequence[int | str | None]
Array = np.ndarray[Any, Any]


def odd_cases() -> list[Case]:
    """All of them."""
    return [
        *_named(),
        *_extremes(),
        *_shapes(),
        _input_is_output(),
        _weight_is_output(),
        _weight_is_input(),
        _symbolic(),
        _many_inputs(),
        _branches(),
    ]


def _case(
    name: str,
    nodes: Sequence[Any],
    inputs: Mapping[str, Array],
    outputs: Mapping[str, tuple[int, Dims]],
    *,
    dims: Mapping[str, Dims] | None = None,
    weights: Mapping[str, Array] | None = None,
    weights_as_inputs: bool = False,
) -> Case:
    given = {key: (dims or {}).get(key, array.shape) for key, array in inputs.items()}
    declared = [
        helper.make_tensor_value_info(key, _ELEMENTS[inputs[key].dtype], list(shape))
        for key, shape in given.items()
    ]
    constants = [numpy_helper.from_array(array, key) for key, array in (weights or {}).items()]
    if weights_as_inputs:
        declared += [
            helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            for tensor in constants
        ]
    results = [
        helper.make_tensor_value_info(key, element, list(shape))
        for key, (element, shape) in outputs.items()
    ]
    graph = helper.make_graph(nodes, "odd", declared, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    data_set = DataSet(tuple(inputs.values()), ())
    return Case(f"{KIND}.{name}", KIND, model.SerializeToString(), (data_set,), 0.0, 0.0)


def _identity(name: str, array: Array, given: str = "x", answer: str = "y") -> Case:
    node = helper.make_node("Identity", [given], [answer])
    return _case(name, [node], {given: array}, {answer: (_ELEMENTS[array.dtype], array.shape)})


def _named() -> list[Case]:
    array = np.array([1.0, 2.0], np.float32)
    return [
        _identity(f"name-{place}", array, name, f"{name} out") for place, name in enumerate(NAMES)
    ]


def _extremes() -> list[Case]:
    floats = [np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.1, 1 / 3]
    cases = [
        _identity(f"extremes-{dtype.name}", _values(dtype, floats))
        for dtype in _ELEMENTS
        if dtype.kind in "fV"
    ]
    cases += [
        _identity(f"extremes-{dtype.name}", np.array([*_limits(dtype), 0, 1], dtype))
        for dtype in _ELEMENTS
        if dtype.kind in "iu"
    ]
    texts = np.array(["", "grüße", '"\\\n\x00\t', "数" * 1000, " "], np.object_)
    return [*cases, _identity("extremes-strings", texts)]


def _values(dtype: np.dtype[Any], floats: Sequence[float]) -> Array:
    smallest = np.array([1], f"u{dtype.itemsize}").view(dtype)  # the least number that is not 0
    return np.concatenate((np.array(floats).astype(dtype), smallest))


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _shapes() -> list[Case]:
    """Every datatype without a dimension, and with dimensions of which one is empty."""
    cases = []
    for dtype in _ELEMENTS:
        scalar = np.array("one" if dtype.kind == "O" else 1).astype(dtype)
        cases.append(_identity(f"scalar-{dtype.name}", scalar))
        cases.append(_identity(f"empty-{dtype.name}", np.empty((2, 0, 3), dtype)))
    return cases


def _input_is_output() -> Case:
    array = np.array([[1.5, -2.5]], np.float32)
    node = helper.make_node("Neg", ["x"], ["y"])
    outputs: dict[str, tuple[int, Dims]] = {
        "x": (TensorProto.FLOAT, (1, 2)),
        "y": (TensorProto.FLOAT, (1, 2)),
    }
    return _case("input-is-output", [node], {"x": array}, outputs)


def _weight_is_output() -> Case:
    weight = np.arange(3, dtype=np.int64)
    node = helper.make_node("Identity", ["w"], ["y"])
    outputs: dict[str, tuple[int, Dims]] = {
        "w": (TensorProto.INT64, (3,)),
        "y": (TensorProto.INT64, (3,)),
    }
    return _case("weight-is-output", [node], {}, outputs, weights={"w": weight})


def _weight_is_input() -> Case:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return _case(
        "weight-is-input",
        [node],
        {"x": np.array([1, 2], np.float32)},
        {"y": (TensorProto.FLOAT, (2,))},
        weights={"w": np.array([0.5, 0.25], np.float32)},
        weights_as_inputs=True,
    )


def _symbolic() -> Case:
    node = helper.make_node("Concat", ["x", "z"], ["y"], axis=1)
    return _case(
        "symbolic",
        [node],
        {"x": np.ones((2, 3), np.float32), "z": np.zeros((2, 4), np.float32)},
        {"y": (TensorProto.FLOAT, ("rows", "left + right"))},
        dims={"x": ("rows", "left"), "z": (None, "right")},
    )


def _many_inputs() -> Case:
    names = [f"x{place}" for place in range(200)]
    inputs = {name: np.array([place], np.float32) for place, name in enumerate(names)}
    node = helper.make_node("Concat", names, ["y"], axis=0)
    return _case("many-inputs", [node], inputs, {"y": (TensorProto.FLOAT, (len(names),))})


def _branches() -> Case:
    """An If whose branches answer other shapes."""
    results = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    branches = [
        helper.make_graph(
            [helper.make_node("Constant", [], ["r"], value=numpy_helper.from_array(array))],
            "branch",
            [],
            results,
        )
        for array in (np.ones(2, np.float32), np.ones(0, np.float32))
    ]
    node = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    case = _case("branches", [node], {"c": np.array(True)}, {"y": (TensorProto.FLOAT, (None,))})
    sets = tuple(DataSet((np.array(choice),), ()) for choice in (True, False))
    return Case(case.name, KIND, case.model, sets, 0.0, 0.0)
