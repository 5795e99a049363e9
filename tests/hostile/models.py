"""The models that hostile requests are about: each answers what it is given, or twice that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.e2e.models import scaling

MIXED = {
    "f": TensorProto.FLOAT,
    "n": TensorProto.INT8,
    "u": TensorProto.UINT64,
    "h": TensorProto.FLOAT16,
    "b": TensorProto.BOOL,
    "s": TensorProto.STRING,
}
"""The inputs of the model `mixed`, [batch, 2] each; outputs are called `out_` and the same."""


def graphs() -> Mapping[str, bytes]:
    """`scale`: y = 2x, FP32 [batch, 2]; `mixed`: six datatypes; `wide`: FP32, three free dimensions;
    `lookup`: y = i, INT64 [batch, 1], for the indexes 0, 1 and 2; `divide`: a / b and its remainder.
    """
    return {
        "scale": scaling(2.0),
        "mixed": identities(MIXED, ["batch", 2]),
        "wide": identities({"x": TensorProto.FLOAT}, ["a", "b", "c"]),
        "lookup": lookup(),
        "divide": divide(),
    }


def identities(inputs: Mapping[str, int], shape: Sequence[str | int]) -> bytes:
    """A graph that gives every input back as an output."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"out_{name}"]) for name in inputs],
        "identities",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind in inputs.items()],
        [
            helper.make_tensor_value_info(f"out_{name}", kind, shape)
            for name, kind in inputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def lookup() -> bytes:
    """A graph that refuses indexes out of its table's range when it runs."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "i"], ["y"])],
        "lookup",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ["batch", 1])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["batch", 1])],
        [numpy_helper.from_array(np.arange(3), "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def divide() -> bytes:
    """A graph that divides one input by the other: INT64 [batch, 1]."""
    graph = helper.make_graph(
        [helper.make_node("Div", ["a", "b"], ["q"]), helper.make_node("Mod", ["a", "b"], ["r"])],
        "divide",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", 1]) for name in "ab"],
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", 1]) for name in "qr"],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
