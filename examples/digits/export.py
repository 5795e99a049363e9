"""Trained dense layers as an ONNX model that takes raw pixels, all preprocessing inside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from images import BRIGHTEST
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET: Final = 17
_IR_VERSION: Final = 9
"""Older than what `onnx` writes by default, so that every recent ONNX Runtime can read it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A dense layer: weights, FP32 [inputs, outputs], and bias, FP32 [outputs]."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


def build_model(layers: Sequence[Layer], description: str) -> onnx.ModelProto:
    """A checked model: ReLU between the layers, softmax after the last.

    Input `image`: FP32 [batch, 8, 8], pixel values 0..16.
    Outputs `label`: INT64 [batch], and `probabilities`: FP32 [batch, 10].
    """
    graph = helper.make_graph(
        [*_preprocessing(), *_dense_nodes(layers), *_answers(len(layers))],
        "digits",
        inputs=[helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 8, 8])],
        outputs=[
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10]),
        ],
        initializer=list(_constants(layers)),
        doc_string=description,
    )
    model = helper.make_model(
        graph,
        producer_name="headrace-digits-example",
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _preprocessing() -> list[onnx.NodeProto]:
    """From `image`, [batch, 8, 8] in 0..16, to `activation_0`, [batch, 64] in 0..1."""
    return [
        helper.make_node("Flatten", ["image"], ["pixels"], axis=1),
        helper.make_node("Div", ["pixels", "brightest"], ["activation_0"]),
    ]


def _dense_nodes(layers: Sequence[Layer]) -> Iterator[onnx.NodeProto]:
    """From `activation_0` to the last `sum_<n>`, [batch, 10]: what softmax still has to scale."""
    for index in range(len(layers)):
        if index > 0:
            yield helper.make_node("Relu", [f"sum_{index}"], [f"activation_{index}"])
        inputs = [f"activation_{index}", f"weights_{index}", f"bias_{index}"]
        yield helper.make_node("Gemm", inputs, [f"sum_{index + 1}"])


def _answers(layer_count: int) -> list[onnx.NodeProto]:
    """From the last sum to both outputs; the label is the most probable digit."""
    return [
        helper.make_node("Softmax", [f"sum_{layer_count}"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]


def _constants(layers: Sequence[Layer]) -> Iterator[onnx.TensorProto]:
    yield numpy_helper.from_array(np.array(BRIGHTEST, np.float32), "brightest")
    for index, layer in enumerate(layers):
        yield numpy_helper.from_array(layer.weights, f"weights_{index}")
        yield numpy_helper.from_array(layer.bias, f"bias_{index}")
