"""Small graphs with known explanations, and rows for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from headrace.lifecycle.predictors import SessionPredictor

FLOAT = TensorProto.FLOAT


def session(graph: bytes) -> SessionPredictor:
    """A session of a graph, in one thread."""
    return SessionPredictor(graph, rows_per_run=512, threads=1)


def row(*values: float) -> dict[str, Any]:
    """A row of x."""
    return {"x": np.array([values], np.float32)}


def made(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, list[Any]],
    output: list[Any],
    constants: Mapping[str, Any],
) -> bytes:
    """A graph from inputs of floats to y."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", FLOAT, output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def network(features: int, hidden: int = 8, seed: int = 0) -> bytes:
    """tanh(x a + b) c: smooth, and features work together."""
    draw = np.random.default_rng(seed)
    return made(
        [
            helper.make_node("Gemm", ["x", "a", "b"], ["h"]),
            helper.make_node("Tanh", ["h"], ["t"]),
            helper.make_node("MatMul", ["t", "c"], ["y"]),
        ],
        {"x": ["rows", features]},
        ["rows", 1],
        {
            "a": draw.normal(size=(features, hidden)).astype(np.float32),
            "b": draw.normal(size=hidden).astype(np.float32),
            "c": draw.normal(size=(hidden, 1)).astype(np.float32),
        },
    )


def steps(features: int) -> bytes:
    """The sum of whether each feature is over 0.5: constant in pieces, as trees are."""
    return made(
        [
            helper.make_node("Greater", ["x", "half"], ["over"]),
            helper.make_node("Cast", ["over"], ["number"], to=FLOAT),
            helper.make_node("ReduceSum", ["number", "axes"], ["y"], keepdims=1),
        ],
        {"x": ["rows", features]},
        ["rows", 1],
        {"half": np.float32(0.5), "axes": np.array([1], np.int64)},
    )


def logarithm(features: int) -> bytes:
    """The log of the sum: no number at zeros."""
    return made(
        [
            helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1),
            helper.make_node("Log", ["sum"], ["y"]),
        ],
        {"x": ["rows", features]},
        ["rows", 1],
        {"axes": np.array([1], np.int64)},
    )


def patch_detector(shape: list[Any], top: int, left: int, side: int) -> bytes:
    """The mean of one square of an image, whose shape has the rows first."""
    weights = np.zeros([1, *shape[1:]], np.float32)
    axes = np.array([1, 2, 3][: len(shape) - 1], np.int64)
    if shape[-1] in (1, 3):
        weights[0, top : top + side, left : left + side] = 1 / side**2
    else:
        weights[..., top : top + side, left : left + side] = 1 / side**2
    return made(
        [
            helper.make_node("Mul", ["x", "w"], ["seen"]),
            helper.make_node("ReduceSum", ["seen", "axes"], ["y"], keepdims=0),
        ],
        {"x": shape},
        ["rows"],
        {"w": weights, "axes": axes},
    )
