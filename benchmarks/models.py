"""The models that are measured, built by script, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """A model, and one row of its input: the request that is sent again and again."""

    name: str
    graph: Callable[[], bytes]
    input_name: str
    datatype: str
    row: Array


class GraphBuilder:
    """Nodes and weights of a graph under construction; every method gives the name of its output."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int, scale: float = 0.02) -> str:
        """A random FP32 weight."""
        return self.constant((self._random.normal(size=shape) * scale).astype(np.float32))

    def constant(self, value: Array) -> str:
        """A weight with this value."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node with one output."""
        name = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> bytes:
        """The finished model."""
        graph = helper.make_graph(self.nodes, "measured", inputs, outputs, self.weights)
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        return bytes(model.SerializeToString())


def mlp() -> bytes:
    """A 16→32→4 multi-layer perceptron: FP32 `x` [batch, 16] to FP32 `y` [batch, 4]."""
    graph = GraphBuilder()
    hidden = graph.node("Relu", graph.node("MatMul", "x", graph.weight(16, 32, scale=1)))
    graph.node("MatMul", hidden, graph.weight(32, 4, scale=1), output="y")
    return graph.model([tensor("x", ["batch", 16])], [tensor("y", ["batch", 4])])


def identity() -> bytes:
    """Make a graph that answers its input: FP32 [batch, 262144], 1 MiB a row."""
    graph = GraphBuilder()
    graph.node("Identity", "x", output="y")
    return graph.model([tensor("x", ["batch", 2**18])], [tensor("y", ["batch", 2**18])])


def encoder(layers: int = 6, hidden: int = 384, heads: int = 12, length: int = 128) -> bytes:
    """A transformer encoder: INT64 `ids` [batch, 128] to FP32 `y` [batch, 384], the first token's state."""
    graph = GraphBuilder()
    state = graph.node("Gather", graph.weight(1000, hidden), "ids")
    for _ in range(layers):
        attended = _attention(graph, state, hidden, heads, length)
        state = _normalised(graph, graph.node("Add", state, attended), hidden)
        state = _normalised(
            graph, graph.node("Add", state, _feed_forward(graph, state, hidden)), hidden
        )
    graph.node("Gather", state, graph.constant(np.array(0)), output="y", axis=1)
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", length])
    return graph.model([ids], [tensor("y", ["batch", hidden])])


def _attention(graph: GraphBuilder, state: str, hidden: int, heads: int, length: int) -> str:
    width = hidden // heads
    shape = graph.constant(np.array([-1, length, heads, width]))

    def split(permutation: list[int]) -> str:
        projected = _linear(graph, state, hidden, hidden)
        return graph.node("Transpose", graph.node("Reshape", projected, shape), perm=permutation)

    scores = graph.node("MatMul", split([0, 2, 1, 3]), split([0, 2, 3, 1]))
    scale = graph.constant(np.array(1 / np.sqrt(width), np.float32))
    weights = graph.node("Softmax", graph.node("Mul", scores, scale), axis=-1)
    mixed = graph.node(
        "Transpose", graph.node("MatMul", weights, split([0, 2, 1, 3])), perm=[0, 2, 1, 3]
    )
    flat = graph.node("Reshape", mixed, graph.constant(np.array([-1, length, hidden])))
    return _linear(graph, flat, hidden, hidden)


def _feed_forward(graph: GraphBuilder, state: str, hidden: int) -> str:
    wide = _linear(graph, state, hidden, 4 * hidden)
    half, root, one = (graph.constant(np.array(v, np.float32)) for v in (0.5, 2**-0.5, 1.0))
    bent = graph.node("Add", graph.node("Erf", graph.node("Mul", wide, root)), one)
    active = graph.node("Mul", graph.node("Mul", wide, bent), half)
    return _linear(graph, active, 4 * hidden, hidden)


def _linear(graph: GraphBuilder, state: str, width: int, out: int) -> str:
    return graph.node(
        "Add", graph.node("MatMul", state, graph.weight(width, out)), graph.weight(out)
    )


def _normalised(graph: GraphBuilder, state: str, hidden: int) -> str:
    scale, bias = graph.constant(np.ones(hidden, np.float32)), graph.weight(hidden)
    return graph.node("LayerNormalization", state, scale, bias, axis=-1)


def resnet50() -> bytes:
    """ResNet-50 with its batch norms folded: FP32 `x` [batch, 3, 224, 224] to FP32 `y` [batch, 1000]."""
    graph = GraphBuilder()
    state = graph.node("Relu", _convolved(graph, "x", 3, 64, 7, 2))
    state = graph.node("MaxPool", state, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            state = _bottleneck(graph, state, channels, 64 * 2**stage, stride)
            channels = 256 * 2**stage
    pooled = graph.node("Flatten", graph.node("GlobalAveragePool", state))
    graph.node("Gemm", pooled, graph.weight(channels, 1000), graph.weight(1000), output="y")
    return graph.model([tensor("x", ["batch", 3, 224, 224])], [tensor("y", ["batch", 1000])])


def _bottleneck(graph: GraphBuilder, state: str, channels: int, width: int, stride: int) -> str:
    inner = graph.node("Relu", _convolved(graph, state, channels, width, 1, 1))
    inner = graph.node("Relu", _convolved(graph, inner, width, width, 3, stride))
    inner = _convolved(graph, inner, width, 4 * width, 1, 1)
    if channels != 4 * width:
        state = _convolved(graph, state, channels, 4 * width, 1, stride)
    return graph.node("Relu", graph.node("Add", state, inner))


def _convolved(
    graph: GraphBuilder, state: str, channels: int, out: int, size: int, stride: int
) -> str:
    weight = graph.weight(out, channels, size, size)
    pads = [size // 2] * 4
    return graph.node(
        "Conv",
        state,
        weight,
        graph.weight(out),
        kernel_shape=[size, size],
        strides=[stride, stride],
        pads=pads,
    )


def tensor(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


_RANDOM = np.random.default_rng(1)
MLP = Measured("mlp", mlp, "x", "FP32", _RANDOM.normal(size=(1, 16)).astype(np.float32))
IDENTITY = Measured("identity", identity, "x", "FP32", np.ones((1, 2**18), np.float32))
ENCODER = Measured("encoder", encoder, "ids", "INT64", _RANDOM.integers(0, 1000, size=(1, 128)))
RESNET50 = Measured(
    "resnet50", resnet50, "x", "FP32", _RANDOM.normal(size=(1, 3, 224, 224)).astype(np.float32)
)
ALL = (MLP, IDENTITY, ENCODER, RESNET50)
