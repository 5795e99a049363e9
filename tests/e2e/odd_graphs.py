"""Graphs that ONNX Runtime runs and ONNX's checker, or an earlier registry, did not like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
ML = "ai.onnx.ml"


def info(name: str, shape: Sequence[Any] | None, element: int = FLOAT) -> Any:
    """A declared tensor; no shape at all is an unknown rank."""
    return helper.make_tensor_value_info(name, element, shape)


def graph(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    weights: Mapping[str, Any] | None = None,
    opset: int = 21,
    ir_version: int = 10,
) -> Any:
    """A model of these nodes, with ONNX's operators and those of machine learning."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(ML, 3)]
    made = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(made, opset_imports=opsets, ir_version=ir_version)


X, Y = info("x", ["n", 2]), info("y", ["n", 2])
NEG = helper.make_node("Neg", ["x"], ["y"])


def _nameless() -> Any:
    model = graph([NEG], [X], [Y])
    model.graph.name = ""
    return model


def _function() -> Any:
    """A model whose one node is a function of its own, which names no opset twice."""
    body = [helper.make_node("Neg", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 21)]
    function = helper.make_function("mine", "Flip", ["a"], ["b"], body, opsets)
    model = graph([helper.make_node("Flip", ["x"], ["y"], domain="mine")], [X], [Y])
    model.opset_import.add(domain="mine", version=1)
    model.functions.append(function)
    return model


def _sparse_weights() -> Any:
    """y = x - 0 where the zeros are a sparse tensor."""
    model = graph([helper.make_node("Sub", ["x", "w"], ["y"])], [X], [Y])
    values = numpy_helper.from_array(np.array([1], np.float32), "w")
    indices = numpy_helper.from_array(np.array([1], np.int64), "w_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2]))
    return model


def _trained() -> Any:
    model = graph([NEG], [X], [Y])
    model.training_info.add().algorithm.CopyFrom(model.graph)
    helper.set_model_props(model, {"author": "someone"})
    return model


ODD: dict[str, Any] = {
    "unknown-rank": graph([NEG], [info("x", None)], [info("y", None)]),
    "output-of-unknown-rank": graph([NEG], [X], [info("y", None)]),
    "output-of-no-type": graph([NEG], [X], [onnx.ValueInfoProto(name="y")]),
    "unsorted": graph(
        [helper.make_node("Neg", ["a"], ["y"]), helper.make_node("Abs", ["x"], ["a"])], [X], [Y]
    ),
    "domain-not-imported": graph(
        [helper.make_node("BiasGelu", ["x", "bias"], ["y"], domain="com.microsoft")],
        [X],
        [Y],
        {"bias": np.ones(2, np.float32)},
    ),
    "nameless": _nameless(),
    "function": _function(),
    "sparse-weights": _sparse_weights(),
    "training-and-properties": _trained(),
    "weights-listed-as-inputs-of-old": graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        [X, info("w", [2])],
        [Y],
        {"w": np.array([3, 5], np.float32)},
        opset=8,
        ir_version=3,
    ),
}
"""Models from x, FP32 [n, 2], to y."""

NO_INPUTS = graph([], [], [info("y", [2])], {"y": np.array([1, 2], np.float32)})


def classifier(classes: Sequence[str | int], outputs: int = 1) -> Any:
    """Labels and probabilities as converters of scikit-learn give them: the latter through ZipMap."""
    key = "classlabels_strings" if isinstance(classes[0], str) else "classlabels_int64s"
    labels: dict[str, Any] = {key: classes}
    maps = helper.make_map_type_proto(
        TensorProto.STRING if isinstance(classes[0], str) else INT64,
        helper.make_tensor_type_proto(FLOAT, []),
    )
    names = [f"probabilities{place}" if place else "probabilities" for place in range(outputs)]
    nodes = [
        helper.make_node("Softmax", ["x"], ["p"], axis=1),
        helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
        *(helper.make_node("ZipMap", ["p"], [n], domain=ML, **labels) for n in names),
    ]
    zipped = [helper.make_value_info(n, helper.make_sequence_type_proto(maps)) for n in names]
    return graph(
        nodes, [info("x", ["n", len(classes)])], [info("label", ["n"], INT64), *zipped], opset=13
    )


def scaled(ir_version: int = 10) -> Any:
    """y = x * scale + bias, where both are inputs with a default: 2, and [0, 0]."""
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["s"]),
        helper.make_node("Add", ["s", "bias"], ["y"]),
    ]
    inputs = [info("bias", [2]), X, info("scale", [])]
    defaults = {"scale": np.array(2, np.float32), "bias": np.zeros(2, np.float32)}
    return graph(nodes, inputs, [Y], defaults, ir_version=ir_version, opset=9)
