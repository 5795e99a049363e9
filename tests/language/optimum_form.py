"""Writes a decoder in the form that `optimum` exports: plain operators, positions, a growing cache.

Beside the graph lie config.json and generation_config.json instead of genai_config.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx

from headrace.language.decoder_graph import DecoderShape, WeightFormat
from headrace.language.decoder_graph import weights as names
from headrace.language.decoder_graph.external_tensors import ExternalTensors
from headrace.language.decoder_graph.graph_writer import GraphWriter
from headrace.language.decoder_graph.weights import of_layer
from tests.language.tiny_models import LLAMA, RandomWeights, TinyModel
from tests.language.tiny_tokenizer import BEGIN, END, write_tiny_tokenizer


def write_optimum_model(folder: Path, shape: DecoderShape = LLAMA, seed: int = 0) -> TinyModel:
    """Write a model into a folder, which may not exist yet. Its numbers are those of the tiny models."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = RandomWeights(shape, seed)
    with ExternalTensors(folder / "model.onnx_data") as tensors:
        graph = GraphWriter(weights, tensors, WeightFormat.FP32)
        _PlainDecoder(graph, shape, weights).write()
    made = onnx.helper.make_graph(
        graph.nodes, "main_graph", _inputs(shape), _outputs(shape), graph.initializers
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(made, opset_imports=opsets, ir_version=8)
    onnx.save(model, folder / "model.onnx")
    _write_configs(folder, shape)
    write_tiny_tokenizer(folder)
    return TinyModel(folder, shape, weights)


class _PlainDecoder:
    """Writes the nodes, one part after the other."""

    def __init__(self, graph: GraphWriter, shape: DecoderShape, weights: RandomWeights) -> None:
        self._graph = graph
        self._weights = weights
        self._shape = shape
        self._made = 0

    def write(self) -> None:
        """Write the whole decoder."""
        shape = self._shape
        self._write_mask()
        self._write_positions()
        size = (shape.vocabulary_size, shape.hidden_size)
        hidden = self._graph.embedding(names.EMBEDDING, *size, "input_ids", "embedded")
        for layer in range(shape.layers):
            hidden = self._layer(layer, hidden)
        last = self._norm(hidden, names.FINAL_NORM)
        source = names.EMBEDDING if shape.tied else names.HEAD
        self._graph.matmul(
            "head", [(source, shape.vocabulary_size)], shape.hidden_size, last, "logits"
        )

    def _node(self, operator: str, *inputs: str, **attributes: float | list[int]) -> str:
        self._made += 1
        return self._graph.node(operator, inputs, f"{operator}_{self._made}", "", **attributes)

    def _whole(self, *numbers: int) -> str:
        self._made += 1
        return self._graph.constant(f"whole_{self._made}", np.array(numbers, np.int64))

    def _number(self, number: float) -> str:
        self._made += 1
        return self._graph.constant(f"number_{self._made}", np.array(number, np.float32))

    def _write_mask(self) -> None:
        """What is added to scores: nothing where a token sees another, and much below 0 elsewhere."""
        total = self._node("Gather", self._node("Shape", "attention_mask"), self._whole(1))
        new = self._node("Gather", self._node("Shape", "input_ids"), self._whole(1))
        axis, zero = self._whole(0), self._node("Squeeze", self._whole(0))
        total, new = self._node("Squeeze", total, axis), self._node("Squeeze", new, axis)
        one = self._node("Squeeze", self._whole(1))
        keys = self._node("Range", zero, total, one)
        queries = self._node("Range", self._node("Sub", total, new), total, one)
        back = self._node("Sub", self._node("Unsqueeze", queries, self._whole(1)), keys)
        seen = self._node("GreaterOrEqual", back, zero)
        if self._shape.sliding_window:
            window = self._node("Less", back, self._whole(self._shape.sliding_window))
            seen = self._node("And", seen, window)
        real = self._node("Cast", "attention_mask", to=onnx.TensorProto.BOOL)
        real = self._node("Unsqueeze", real, self._whole(1, 2, 3))
        both = self._node("And", seen, real)
        self._mask = self._node("Where", both, self._number(0), self._number(-1e30))

    def _write_positions(self) -> None:
        cosines, sines = self._shape.rope.tables(self._shape.context_length, self._shape.head_size)
        tables = [self._graph.constant("cos", cosines), self._graph.constant("sin", sines)]
        rows = [self._node("Gather", table, "position_ids") for table in tables]
        self._cosines, self._sines = (self._node("Unsqueeze", row, self._whole(1)) for row in rows)

    def _layer(self, layer: int, hidden: str) -> str:
        normed = self._norm(hidden, of_layer(layer, names.ATTENTION_NORM))
        hidden = self._node("Add", hidden, self._attention(layer, normed))
        normed = self._norm(hidden, of_layer(layer, names.FEED_FORWARD_NORM))
        gate = self._matmul(layer, names.GATE, normed)
        active = self._node("Mul", gate, self._node("Sigmoid", gate))
        gated = self._node("Mul", active, self._matmul(layer, names.UP, normed))
        return self._node("Add", hidden, self._matmul(layer, names.DOWN, gated))

    def _norm(self, hidden: str, source: str) -> str:
        square = self._node("ReduceMean", self._node("Mul", hidden, hidden), axes=[-1])
        root = self._node("Sqrt", self._node("Add", square, self._number(self._shape.epsilon)))
        scale = self._graph.vector(f"{source}.weight", [source])
        return self._node("Mul", self._node("Div", hidden, root), scale)

    def _matmul(self, layer: int, name: str, operand: str) -> str:
        self._made += 1
        source = of_layer(layer, name)
        rows, columns = self._weights.read(source).shape
        return self._graph.matmul(
            source, [(source, rows)], columns, operand, f"MatMul_{self._made}"
        )

    def _attention(self, layer: int, normed: str) -> str:
        shape = self._shape
        group = shape.heads // shape.kv_heads
        query = self._rotated(self._heads(layer, names.QUERY, normed, shape.heads))
        key = self._rotated(self._heads(layer, names.KEY, normed, shape.kv_heads))
        value = self._heads(layer, names.VALUE, normed, shape.kv_heads)
        key, value = self._cached(layer, "key", key), self._cached(layer, "value", value)
        grouped = self._whole(0, shape.kv_heads, group, -1, shape.head_size)
        query = self._node("Reshape", query, grouped)
        key, value = (self._node("Unsqueeze", each, self._whole(2)) for each in (key, value))
        scores = self._node("MatMul", query, self._node("Transpose", key, perm=[0, 1, 2, 4, 3]))
        scores = self._node("Mul", scores, self._number(shape.head_size**-0.5))
        shares = self._node("Softmax", self._node("Add", scores, self._mask), axis=-1)
        attended = self._node("MatMul", shares, value)
        rows = self._whole(0, shape.heads, -1, shape.head_size)
        attended = self._node("Transpose", self._node("Reshape", attended, rows), perm=[0, 2, 1, 3])
        joined = self._node("Reshape", attended, self._whole(0, 0, shape.query_size))
        return self._matmul(layer, names.ATTENTION_OUTPUT, joined)

    def _heads(self, layer: int, name: str, normed: str, heads: int) -> str:
        made = self._matmul(layer, name, normed)
        if self._shape.attention_biases:
            bias = of_layer(layer, f"{name}_bias")
            made = self._node("Add", made, self._graph.vector(bias, [bias]))
        split = self._node("Reshape", made, self._whole(0, 0, heads, self._shape.head_size))
        return self._node("Transpose", split, perm=[0, 2, 1, 3])

    def _rotated(self, heads: str) -> str:
        half = self._shape.head_size // 2
        axis, middle, end = self._whole(3), self._whole(half), self._whole(2 * half)
        first = self._node("Slice", heads, self._whole(0), middle, axis)
        second = self._node("Slice", heads, middle, end, axis)
        turned = self._node("Concat", self._node("Neg", second), first, axis=3)
        twice = [self._node("Concat", each, each, axis=3) for each in (self._cosines, self._sines)]
        kept = self._node("Mul", heads, twice[0])
        return self._node("Add", kept, self._node("Mul", turned, twice[1]))

    def _cached(self, layer: int, what: str, new: str) -> str:
        past = f"past_key_values.{layer}.{what}"
        return self._graph.node("Concat", [past, new], f"present.{layer}.{what}", axis=2)


def _inputs(shape: DecoderShape) -> list[onnx.ValueInfoProto]:
    batch, new = "batch_size", "sequence_length"
    return [
        _value("input_ids", onnx.TensorProto.INT64, [batch, new]),
        _value("attention_mask", onnx.TensorProto.INT64, [batch, f"past_{new} + {new}"]),
        _value("position_ids", onnx.TensorProto.INT64, [batch, new]),
        *_cache("past_key_values", f"past_{new}", shape),
    ]


def _outputs(shape: DecoderShape) -> list[onnx.ValueInfoProto]:
    batch, new = "batch_size", "sequence_length"
    logits: list[str | int] = [batch, new, shape.vocabulary_size]
    present = _cache("present", f"past_{new} + {new}", shape)
    return [_value("logits", onnx.TensorProto.FLOAT, logits), *present]


def _cache(prefix: str, length: str, shape: DecoderShape) -> list[onnx.ValueInfoProto]:
    size: list[str | int] = ["batch_size", shape.kv_heads, length, shape.head_size]
    return [
        _value(f"{prefix}.{layer}.{what}", onnx.TensorProto.FLOAT, size)
        for layer in range(shape.layers)
        for what in ("key", "value")
    ]


def _value(name: str, element: int, size: list[str | int]) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, element, size)


def _write_configs(folder: Path, shape: DecoderShape) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.feed_forward_size,
        "max_position_embeddings": shape.context_length,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.rope.base,
        "sliding_window": shape.sliding_window or None,
        "tie_word_embeddings": shape.tied,
        "vocab_size": shape.vocabulary_size,
    }
    generation = {"bos_token_id": BEGIN, "eos_token_id": [END], "pad_token_id": BEGIN}
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2), "utf-8")
