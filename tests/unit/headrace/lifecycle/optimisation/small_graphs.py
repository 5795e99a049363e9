"""Small graphs of every form that optimisation looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier


def graph(
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, Any],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
) -> onnx.ModelProto:
    """A checked model of FP32 inputs and outputs."""

    def ends(of: Mapping[str, Sequence[int | str]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, each)
            for name, each in of.items()
        ]

    constants = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()
    ]
    made = helper.make_graph(list(nodes), "small", ends(inputs), ends(outputs), constants)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(made, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def normal(seed: int, *shape: int) -> Any:
    """Random weights."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@cache
def digits() -> tuple[Any, Any]:
    """Images in rows, and what they show."""
    found = load_digits()
    return found.data.astype(np.float32), found.target


@cache
def digits_mlp() -> bytes:
    """A perceptron that was trained on digits: `image` [n, 64] to `probabilities` [n, 10]."""
    images, labels = digits()
    trained = MLPClassifier((64, 32), max_iter=30, random_state=0, learning_rate_init=0.005)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # thirty epochs are enough here
        trained.fit(images / 16, labels)
    layers = list(zip(trained.coefs_, trained.intercepts_, strict=True))
    weights = {"scale": np.float32(16)}
    nodes = [helper.make_node("Div", ["image", "scale"], ["a0"])]
    for place, (matrix, bias) in enumerate(layers):
        weights |= {f"w{place}": matrix.astype(np.float32), f"b{place}": bias.astype(np.float32)}
        nodes.append(
            helper.make_node("Gemm", [f"a{place}", f"w{place}", f"b{place}"], [f"s{place}"])
        )
        if place < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [f"s{place}"], [f"a{place + 1}"]))
    nodes.append(helper.make_node("Softmax", [f"s{len(layers) - 1}"], ["probabilities"], axis=1))
    made = graph(nodes, weights, {"image": ["n", 64]}, {"probabilities": ["n", 10]})
    return made.SerializeToString()


def with_uneven_layers(factor: float = 3000.0) -> onnx.ModelProto:
    """Two ways from `x` to `y`, one through a value so large that 8 bits leave nothing of the others."""
    scale = np.ones(16, np.float32)
    scale[0] = factor
    weights = {
        "w0": normal(0, 16, 16),
        "w1": (normal(1, 16, 16) * scale[None, :]).astype(np.float32),
        "back": (1 / scale).astype(np.float32),
        "w2": normal(2, 16, 4),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h0"], name="first"),
        helper.make_node("Relu", ["h0"], ["h1"]),
        helper.make_node("MatMul", ["h1", "w1"], ["h2"], name="uneven"),
        helper.make_node("Mul", ["h2", "back"], ["h3"]),
        helper.make_node("MatMul", ["h3", "w2"], ["y"], name="last"),
    ]
    return graph(nodes, weights, {"x": ["n", 16]}, {"y": ["n", 4]})


def gemms(activation: str, *, dead: Sequence[int] = ()) -> onnx.ModelProto:
    """Gemm, activation, Gemm with 12 channels between, of which some always give the same."""
    w, b = normal(0, 8, 12), normal(1, 12)
    w[:, list(dead)] = 0
    weights = {"w": w, "b": b, "v": normal(2, 3, 12), "c": normal(3, 3)}
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
        helper.make_node(activation, ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "v", "c"], ["y"], transB=1, alpha=0.5, beta=2.0),
    ]
    return graph(nodes, weights, {"x": ["n", 8]}, {"y": ["n", 3]})


def gelu(*, dead: Sequence[int] = ()) -> onnx.ModelProto:
    """MatMul, Add, Gelu as exporters write it, MatMul, Add, over sequences."""
    w, b = normal(0, 8, 12), normal(1, 12)
    w[:, list(dead)] = 0
    b[list(dead)] = 0
    weights = {
        "w": w,
        "b": b,
        "v": normal(2, 12, 8),
        "c": normal(3, 8),
        **{name: np.float32(value) for name, value in (("r", 2**-0.5), ("one", 1), ("half", 0.5))},
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["h"]),
        helper.make_node("Mul", ["h", "r"], ["h1"]),
        helper.make_node("Erf", ["h1"], ["h2"]),
        helper.make_node("Add", ["h2", "one"], ["h3"]),
        helper.make_node("Mul", ["h", "h3"], ["h4"]),
        helper.make_node("Mul", ["h4", "half"], ["a"]),
        helper.make_node("MatMul", ["a", "v"], ["n2"]),
        helper.make_node("Add", ["n2", "c"], ["y"]),
    ]
    return graph(nodes, weights, {"x": ["n", 5, 8]}, {"y": ["n", 5, 8]})


def convolutions(*, dead: Sequence[int] = ()) -> onnx.ModelProto:
    """Conv, batch normalisation, Relu, padded Conv, Relu, pooling, Flatten, Gemm."""
    first, second = normal(0, 12, 1, 3, 3), normal(5, 8, 12, 3, 3)
    for weights in (first, second):
        weights[[each for each in dead if each < len(weights)]] = 0
    shift = np.abs(normal(2, 12))
    shift[list(dead)] = -1  # behind Relu it is 0
    bias = normal(6, 8)
    bias[[each for each in dead if each < 8]] = -1
    constants = {
        "w": first,
        "g": np.abs(normal(1, 12)) + 0.5,
        "s": shift,
        "m": np.zeros(12, np.float32),
        "var": np.ones(12, np.float32),
        "v": second,
        "vb": bias,
        "k": normal(7, 8 * 9, 4),
        "kb": normal(8, 4),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h0"]),
        helper.make_node("BatchNormalization", ["h0", "g", "s", "m", "var"], ["h1"]),
        helper.make_node("Relu", ["h1"], ["h2"]),
        helper.make_node("Conv", ["h2", "v", "vb"], ["h3"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h3"], ["h4"]),
        helper.make_node("MaxPool", ["h4"], ["h5"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["h5"], ["h6"]),
        helper.make_node("Gemm", ["h6", "k", "kb"], ["y"]),
    ]
    return graph(nodes, constants, {"x": ["n", 1, 8, 8]}, {"y": ["n", 4]})


def residual() -> onnx.ModelProto:
    """A layer whose channels meet its own input again: none of them can go."""
    weights = {"w": normal(0, 8, 8), "v": normal(1, 8, 3)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "x"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    return graph(nodes, weights, {"x": ["n", 8]}, {"y": ["n", 3]})


def without_weights() -> onnx.ModelProto:
    """Nothing but a sum of what comes in."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"])]
    return graph(nodes, {}, {"x": ["n", 4]}, {"y": ["n", 4]})


def run(model: onnx.ModelProto, inputs: Mapping[str, Any]) -> list[Any]:
    """What ONNX Runtime answers."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, dict(inputs)))
