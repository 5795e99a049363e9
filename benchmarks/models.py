"""The models that are measured, built by script."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def mlp() -> bytes:
    """A 16→32→4 multi-layer perceptron: FP32 `x` [batch, 16] to FP32 `y` [batch, 4]."""
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.normal(size=(16, 32)).astype(np.float32), "w1"),
        numpy_helper.from_array(random.normal(size=(32, 4)).astype(np.float32), "w2"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "w2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
