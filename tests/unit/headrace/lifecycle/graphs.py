"""Small graphs for tests of the lifecycle."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def linear(weights: list[list[float]], bias: list[float], output: str = "y") -> bytes:
    """x [rows, inputs] @ weights + bias = y [rows, outputs], or as it is to be called."""
    w = numpy_helper.from_array(np.asarray(weights, np.float32), "w")
    b = numpy_helper.from_array(np.asarray(bias, np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], [output])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", len(weights)])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", len(bias)])],
        [w, b],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
