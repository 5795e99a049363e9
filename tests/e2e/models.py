"""Small real models, with what they answer."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper


def scaling(factor: float) -> bytes:
    """y = factor * x: FP32 [batch, 2] to FP32 [batch, 2]."""
    return single_node(
        helper.make_node("Mul", ["x", "factor"], ["y"]),
        [helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])],
    )


def single_node(node: onnx.NodeProto, constants: Sequence[onnx.TensorProto]) -> bytes:
    """A graph of one node from x to y, FP32 [batch, 2] both."""
    graph = helper.make_graph(
        [node],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
