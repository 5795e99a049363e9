"""Writes a decoder into a folder: its graph, and the file of its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from headrace.language.decoder_graph.decoder_shape import DecoderShape
from headrace.language.decoder_graph.external_tensors import ExternalTensors
from headrace.language.decoder_graph.graph_writer import MICROSOFT, GraphWriter
from headrace.language.decoder_graph.layers import CONTEXT, LayerWriter
from headrace.language.decoder_graph.weights import (
    EMBEDDING,
    FINAL_NORM,
    HEAD,
    DecoderWeights,
)
from headrace.language.weight_format import WeightFormat

KEEP_INPUT = "num_logits_to_keep"
"""An input that may be left out: how many of the last tokens get logits; 0, and without it: all.

The name is that of other exporters. A head over a long prompt costs a sixth of its run, and gigabytes.
"""
GRAPH_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"
OPSET = 21
IR_VERSION = 10
"""The newest that ONNX Runtime 1.22 reads."""

Progress = Callable[[int, int], None]
"""Called with the steps that are done and all of them."""


def write_decoder(
    shape: DecoderShape,
    weights: DecoderWeights,
    folder: Path,
    weight_format: WeightFormat = WeightFormat.FP32,
    progress: Progress | None = None,
) -> None:
    """Write `model.onnx` and `model.onnx.data`. Memory holds a part of a matrix at a time."""
    tell = progress or (lambda _done, _all: None)
    steps = shape.layers + 2
    with ExternalTensors(folder / DATA_FILE) as tensors:
        graph = GraphWriter(weights, tensors, weight_format)
        _write_inputs(graph, shape)
        layers = LayerWriter(graph, shape)
        size = (shape.vocabulary_size, shape.hidden_size)
        hidden = graph.embedding(EMBEDDING, *size, "input_ids", "embedded")
        tell(1, steps)
        for layer in range(shape.layers):
            hidden = layers.write(layer, hidden)
            tell(layer + 2, steps)
        last = _kept(graph, layers.norm([FINAL_NORM], hidden, "final"))
        source = EMBEDDING if shape.tied else HEAD
        graph.matmul("head", [(source, shape.vocabulary_size)], shape.hidden_size, last, "logits")
        tell(steps, steps)
    onnx.save(_model(graph, shape), folder / GRAPH_FILE)


def _write_inputs(graph: GraphWriter, shape: DecoderShape) -> None:
    """Write what all layers take: how long each sequence is, the longest, and the tables of positions."""
    one = graph.constant("one", np.array([1], np.int64))
    lengths = graph.node("ReduceSum", ["attention_mask", one], "lengths", keepdims=0)
    before = graph.node("Sub", [lengths, one], "lengths_less_one")
    graph.node("Cast", [before], CONTEXT[0], to=onnx.TensorProto.INT32)
    mask_shape = graph.node("Shape", ["attention_mask"], "mask_shape")
    second = graph.constant("second", np.array(1, np.int64))
    total = graph.node("Gather", [mask_shape, second], "total_length_wide")
    graph.node("Cast", [total], CONTEXT[1], to=onnx.TensorProto.INT32)
    cosines, sines = shape.rope.tables(shape.context_length, shape.head_size)
    graph.constant(CONTEXT[2], cosines)
    graph.constant(CONTEXT[3], sines)


def _kept(graph: GraphWriter, hidden: str) -> str:
    """The last tokens' numbers, as many as the optional input says."""
    keep = graph.constant(KEEP_INPUT, np.array([0], np.int64))
    first = graph.node("Neg", [keep], "first_kept")
    end = graph.constant("end_kept", np.array([np.iinfo(np.int64).max], np.int64))
    axis = graph.constant("axis_kept", np.array([1], np.int64))
    return graph.node("Slice", [hidden, first, end, axis], "kept")


def _model(graph: GraphWriter, shape: DecoderShape) -> onnx.ModelProto:
    made = onnx.helper.make_graph(
        graph.nodes, "decoder", _inputs(shape), _outputs(shape), graph.initializers
    )
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(MICROSOFT, 1)]
    return onnx.helper.make_model(
        made, producer_name="headrace", opset_imports=opsets, ir_version=IR_VERSION
    )


def _inputs(shape: DecoderShape) -> list[onnx.ValueInfoProto]:
    whole = onnx.TensorProto.INT64
    return [
        _value("input_ids", whole, ["batch_size", "sequence_length"]),
        _value("attention_mask", whole, ["batch_size", "total_sequence_length"]),
        *_cache("past_key_values", "past_sequence_length", shape),
        _value(KEEP_INPUT, whole, [1]),
    ]


def _outputs(shape: DecoderShape) -> list[onnx.ValueInfoProto]:
    logits: list[str | int] = ["batch_size", "kept_length", shape.vocabulary_size]
    return [
        _value("logits", onnx.TensorProto.FLOAT, logits),
        *_cache("present", "total_sequence_length", shape),
    ]


def _cache(prefix: str, length: str, shape: DecoderShape) -> list[onnx.ValueInfoProto]:
    dimensions: list[str | int] = ["batch_size", shape.kv_heads, length, shape.head_size]
    return [
        _value(f"{prefix}.{layer}.{what}", onnx.TensorProto.FLOAT, dimensions)
        for layer in range(shape.layers)
        for what in ("key", "value")
    ]


def _value(name: str, element: int, shape: list[str | int]) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, element, shape)
