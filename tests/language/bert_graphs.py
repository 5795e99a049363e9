"""Writes BERT-like encoders as ONNX, of random weights or of those that somebody trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, npt.NDArray[np.float32]]

MASKED = -3.4028234663852886e38
"""What is added to the scores of padding, as exporters write it."""


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of an encoder."""

    vocabulary: int = 120
    hidden: int = 32
    heads: int = 4
    layers: int = 2
    intermediate: int = 64
    positions: int = 64

    @property
    def head(self) -> int:
        """Return the width of one head."""
        return self.hidden // self.heads


class _Graph:
    """Nodes and weights as they are written, each output named by a number."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._known: set[str] = set()

    def weight(self, name: str, *, transposed: bool = False) -> str:
        """Return a weight's name, in the graph from now on."""
        value = self.weights[name]
        return self.constant(name, np.ascontiguousarray(value.T) if transposed else value)

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Return the name of a constant."""
        if name not in self._known:
            self._known.add(name)
            self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def ints(self, *values: int) -> str:
        """Return the name of a list of integers."""
        return self.constant("_".join(["ints", *map(str, values)]), np.array(values, np.int64))

    def op(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; its output."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def dense(self, value: str, name: str) -> str:
        """Multiply by a layer's weights and add its bias."""
        product = self.op("MatMul", value, self.weight(f"{name}.weight", transposed=True))
        return self.op("Add", product, self.weight(f"{name}.bias"))

    def normalized(self, value: str, name: str) -> str:
        """Normalise a layer."""
        return self.op(
            "LayerNormalization",
            value,
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            axis=-1,
            epsilon=1e-12,
        )


def random_weights(shape: BertShape, seed: int = 7, labels: int = 0) -> dict[str, Any]:
    """Make weights with the names that BERT's have; with `labels`, those of a classifier, too."""
    random = np.random.default_rng(seed)

    def values(*sizes: int) -> npt.NDArray[np.float32]:
        return (random.standard_normal(sizes) * 0.2).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": values(shape.vocabulary, shape.hidden),
        "embeddings.position_embeddings.weight": values(shape.positions, shape.hidden),
        "embeddings.token_type_embeddings.weight": values(2, shape.hidden),
    }
    sizes = {"pooler.dense": (shape.hidden, shape.hidden), "classifier": (labels, shape.hidden)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(shape.layers):
        start = f"encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            sizes[f"{start}.attention.{name}"] = (shape.hidden, shape.hidden)
        sizes[f"{start}.intermediate.dense"] = (shape.intermediate, shape.hidden)
        sizes[f"{start}.output.dense"] = (shape.hidden, shape.intermediate)
        norms += [f"{start}.attention.output.LayerNorm", f"{start}.output.LayerNorm"]
    for name, (rows, columns) in sizes.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = values(rows, columns), values(rows)
    for name in norms:
        weights[f"{name}.weight"] = 1 + values(shape.hidden)
        weights[f"{name}.bias"] = values(shape.hidden)
    return weights


def bert_model(shape: BertShape, weights: Weights, *, classifies: bool = False) -> Any:
    """Return an encoder: `last_hidden_state`, or `logits` of [n, labels] where it classifies pairs."""
    graph = _Graph(weights)
    hidden = _embeddings(graph)
    mask = _mask(graph)
    for layer in range(shape.layers):
        hidden = _layer(graph, shape, hidden, mask, f"encoder.layer.{layer}")
    if classifies:
        first = graph.op("Gather", hidden, graph.constant("first", np.array(0)), axis=1)
        pooled = graph.op("Tanh", graph.dense(first, "pooler.dense"))
        output = graph.op("Identity", graph.dense(pooled, "classifier"), output="logits")
        sizes: Sequence[Any] = ("batch", len(weights["classifier.bias"]))
    else:
        output = graph.op("Identity", hidden, output="last_hidden_state")
        sizes = ("batch", "sequence", shape.hidden)
    return _model(graph, output, sizes)


def save(model: Any, path: Path) -> None:
    """Write a graph into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path)


def _model(graph: _Graph, output: str, sizes: Sequence[Any]) -> Any:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    made = helper.make_graph(
        graph.nodes,
        "bert",
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, sizes)],
        graph.initializers,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _embeddings(graph: _Graph) -> str:
    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    types = graph.op(
        "Gather", graph.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"
    )
    length = graph.op("Shape", "input_ids", start=1, end=2)
    table = graph.weight("embeddings.position_embeddings.weight")
    positions = graph.op("Slice", table, graph.ints(0), length, graph.ints(0))
    total = graph.op("Add", graph.op("Add", words, types), positions)
    return graph.normalized(total, "embeddings.LayerNorm")


def _mask(graph: _Graph) -> str:
    floats = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    wide = graph.op("Unsqueeze", floats, graph.ints(1, 2))
    absent = graph.op("Sub", graph.constant("one", np.array(1, np.float32)), wide)
    return graph.op("Mul", absent, graph.constant("masked", np.array(MASKED, np.float32)))


def _layer(graph: _Graph, shape: BertShape, value: str, mask: str, name: str) -> str:
    attended = _attention(graph, shape, value, mask, f"{name}.attention")
    wide = graph.op("Gelu", graph.dense(attended, f"{name}.intermediate.dense"))
    narrow = graph.dense(wide, f"{name}.output.dense")
    return graph.normalized(graph.op("Add", narrow, attended), f"{name}.output.LayerNorm")


def _attention(graph: _Graph, shape: BertShape, value: str, mask: str, name: str) -> str:
    split = graph.ints(0, 0, shape.heads, shape.head)

    def heads(part: str, order: Sequence[int]) -> str:
        projected = graph.op("Reshape", graph.dense(value, f"{name}.self.{part}"), split)
        return graph.op("Transpose", projected, perm=order)

    query, key = heads("query", (0, 2, 1, 3)), heads("key", (0, 2, 3, 1))
    scale = graph.constant("scale", np.array(shape.head**0.5, np.float32))
    scores = graph.op("Add", graph.op("Div", graph.op("MatMul", query, key), scale), mask)
    weighted = graph.op(
        "MatMul", graph.op("Softmax", scores, axis=-1), heads("value", (0, 2, 1, 3))
    )
    joined = graph.op("Transpose", weighted, perm=(0, 2, 1, 3))
    merged = graph.op("Reshape", joined, graph.ints(0, 0, shape.hidden))
    output = graph.op("Add", graph.dense(merged, f"{name}.output.dense"), value)
    return graph.normalized(output, f"{name}.output.LayerNorm")
