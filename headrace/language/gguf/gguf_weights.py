"""Reads a decoder's weights from a GGUF file, a few rows at a time."""

from __future__ import annotations

import re

import numpy as np

from headrace.language.decoder_graph import DecoderShape, FloatArray
from headrace.language.decoder_graph import weights as names
from headrace.language.decoder_graph.weights import of_layer
from headrace.language.gguf.architectures import ROPE_FACTORS
from headrace.language.gguf.gguf_file import GgufFile, RowNumbers, TensorPlace
from headrace.language.gguf.refusals import invalid, unsupported

_OUTSIDE = {
    names.EMBEDDING: "token_embd.weight",
    names.FINAL_NORM: "output_norm.weight",
    names.HEAD: "output.weight",
}
_INSIDE = {
    names.ATTENTION_NORM: "attn_norm.weight",
    names.QUERY: "attn_q.weight",
    names.KEY: "attn_k.weight",
    names.VALUE: "attn_v.weight",
    names.QUERY_BIAS: "attn_q.bias",
    names.KEY_BIAS: "attn_k.bias",
    names.VALUE_BIAS: "attn_v.bias",
    names.QUERY_NORM: "attn_q_norm.weight",
    names.KEY_NORM: "attn_k_norm.weight",
    names.ATTENTION_OUTPUT: "attn_output.weight",
    names.FEED_FORWARD_NORM: "ffn_norm.weight",
    names.GATE: "ffn_gate.weight",
    names.UP: "ffn_up.weight",
    names.DOWN: "ffn_down.weight",
}


class GgufWeights:
    """The weights of an open file."""

    def __init__(self, file: GgufFile, shape: DecoderShape, *, permuted: bool) -> None:
        """Check that the file has each tensor in the shape's size, and none besides.

        Raises InvalidArgument (GGUF_INVALID, GGUF_UNSUPPORTED).
        """
        self._file = file
        expected = _expected(shape)
        known = {called for called, _ in expected.values()} | {ROPE_FACTORS}
        for tensor in file.tensors:
            if tensor not in known:
                raise unsupported(
                    f"a model with the tensor {tensor}", "models of llama's own tensors can be"
                )
        self._places = {
            name: _place(file, called, size) for name, (called, size) in expected.items()
        }
        self._orders: dict[str, RowNumbers] = {}
        if permuted:
            heads = {names.QUERY: shape.heads, names.KEY: shape.kv_heads}
            self._orders = {part: _order(count, shape.head_size) for part, count in heads.items()}

    def read(self, tensor: str, start: int = 0, stop: int | None = None) -> FloatArray:
        """Return a tensor's rows from `start` to before `stop`; a vector whole."""
        place = self._places[tensor]
        order = self._orders.get(re.sub(r"^layers\.\d+\.|_bias$", "", tensor))
        if len(place.shape) == 1:
            vector = self._file.rows(place, slice(None)).reshape(-1)
            return vector if order is None else vector[order]
        return self._file.rows(place, slice(start, stop) if order is None else order[start:stop])


def _expected(shape: DecoderShape) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Each weight, with its name in the file and its size."""
    hidden, inner = shape.hidden_size, shape.feed_forward_size
    table = (shape.vocabulary_size, hidden)
    sizes = {
        names.ATTENTION_NORM: (hidden,),
        names.QUERY: (shape.query_size, hidden),
        names.KEY: (shape.kv_size, hidden),
        names.VALUE: (shape.kv_size, hidden),
        names.ATTENTION_OUTPUT: (hidden, shape.query_size),
        names.FEED_FORWARD_NORM: (hidden,),
        names.GATE: (inner, hidden),
        names.UP: (inner, hidden),
        names.DOWN: (hidden, inner),
    }
    if shape.attention_biases:
        sizes[names.QUERY_BIAS] = (shape.query_size,)
        sizes |= {names.KEY_BIAS: (shape.kv_size,), names.VALUE_BIAS: (shape.kv_size,)}
    if shape.head_norms:
        sizes |= {names.QUERY_NORM: (shape.head_size,), names.KEY_NORM: (shape.head_size,)}
    outside = {names.EMBEDDING: table, names.FINAL_NORM: (hidden,)}
    if not shape.tied:
        outside[names.HEAD] = table
    expected = {name: (_OUTSIDE[name], size) for name, size in outside.items()}
    for layer in range(shape.layers):
        for part, size in sizes.items():
            expected[of_layer(layer, part)] = (f"blk.{layer}.{_INSIDE[part]}", size)
    return expected


def _place(file: GgufFile, name: str, size: tuple[int, ...]) -> TensorPlace:
    place = file.tensors.get(name)
    if place is None:
        raise invalid(f"it has no tensor {name}")
    if place.shape != size:
        raise invalid(f"the tensor {name} is {list(place.shape)}, and has to be {list(size)}")
    return place


def _order(heads: int, head_size: int) -> RowNumbers:
    """Where the rows of a matrix of heads lie whose pairs are side by side: halves are wanted."""
    rows = np.arange(heads * head_size).reshape(heads, head_size // 2, 2)
    return rows.transpose(0, 2, 1).reshape(-1)
