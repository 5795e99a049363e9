"""Writes a decoder's layers: norms, attention, gated feed-forward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.language.decoder_graph import weights
from headrace.language.decoder_graph.decoder_shape import DecoderShape
from headrace.language.decoder_graph.graph_writer import MICROSOFT, GraphWriter
from headrace.language.decoder_graph.weights import of_layer

CONTEXT = ("lengths_before_last", "total_length", "cosines", "sines")
"""What every attention takes besides queries, keys and values."""


class LayerWriter:
    """Writes layers one after the other; a layer's last sum is made by the next norm."""

    def __init__(self, graph: GraphWriter, shape: DecoderShape) -> None:
        self._graph = graph
        self._shape = shape
        self._addend: str | None = None

    def write(self, layer: int, hidden: str) -> str:
        """Write a layer after `hidden`, and return what the next one takes."""
        normed = self.norm(
            [of_layer(layer, weights.ATTENTION_NORM)], hidden, f"attention_in.{layer}"
        )
        hidden = self._sum(hidden, f"attention_in.{layer}")
        self._addend = self._attention(layer, normed)
        normed = self.norm(
            [of_layer(layer, weights.FEED_FORWARD_NORM)], hidden, f"feed_forward_in.{layer}"
        )
        hidden = self._sum(hidden, f"feed_forward_in.{layer}")
        self._addend = self._feed_forward(layer, normed)
        return hidden

    def norm(self, sources: Sequence[str], hidden: str, output: str) -> str:
        """Norm `hidden` and what is still to be added to it; the sum is there as `OUTPUT.sum`."""
        scale = self._graph.vector(f"{sources[0]}.weight", sources)
        epsilon = self._shape.epsilon
        if self._addend is None:
            return self._rms(hidden, scale, output)
        inputs = [hidden, self._addend, scale]
        outputs = [output, "", "", f"{output}.sum"]
        operator = "SkipSimplifiedLayerNormalization"
        return self._graph.node(operator, inputs, outputs, MICROSOFT, epsilon=epsilon)

    def _sum(self, hidden: str, normed: str) -> str:
        return hidden if self._addend is None else f"{normed}.sum"

    def _rms(self, operand: str, scale: str, output: str) -> str:
        epsilon = self._shape.epsilon
        operator = "SimplifiedLayerNormalization"
        return self._graph.node(
            operator, [operand, scale], output, axis=-1, epsilon=epsilon, stash_type=1
        )

    def _attention(self, layer: int, normed: str) -> str:
        shape = self._shape
        cache = [f"past_key_values.{layer}.key", f"past_key_values.{layer}.value"]
        outputs = [f"attended.{layer}", f"present.{layer}.key", f"present.{layer}.value"]
        attended = self._graph.node(
            "GroupQueryAttention",
            [*self._projected(layer, normed), *cache, *CONTEXT],
            outputs,
            MICROSOFT,
            num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
            do_rotary=1,
            rotary_interleaved=0,
            scale=shape.head_size**-0.5,
            local_window_size=shape.sliding_window or -1,
        )
        source = (of_layer(layer, weights.ATTENTION_OUTPUT), shape.hidden_size)
        return self._graph.matmul(
            source[0], [source], shape.query_size, attended, f"attention_out.{layer}"
        )

    def _projected(self, layer: int, normed: str) -> list[str]:
        """Queries, keys and values: in one tensor, or apart where heads are normed."""
        if self._shape.head_norms:
            return self._normed_heads(layer, normed)
        parts = [
            (weights.QUERY, self._shape.query_size),
            (weights.KEY, self._shape.kv_size),
            (weights.VALUE, self._shape.kv_size),
        ]
        return [self._projection(layer, "query_key_value", parts, normed), "", ""]

    def _projection(
        self, layer: int, name: str, parts: Sequence[tuple[str, int]], normed: str
    ) -> str:
        sources = [(of_layer(layer, part), rows) for part, rows in parts]
        named = of_layer(layer, name)
        output = f"{name}.{layer}"
        made = self._graph.matmul(named, sources, self._shape.hidden_size, normed, output)
        if not self._shape.attention_biases:
            return made
        biases = [of_layer(layer, f"{part}_bias") for part, _ in parts]
        bias = self._graph.vector(f"{named}.bias", biases)
        return self._graph.node("Add", [made, bias], f"{output}.biased")

    def _normed_heads(self, layer: int, normed: str) -> list[str]:
        query, key, value = (
            self._projection(layer, part, [(part, size)], normed)
            for part, size in (
                (weights.QUERY, self._shape.query_size),
                (weights.KEY, self._shape.kv_size),
                (weights.VALUE, self._shape.kv_size),
            )
        )
        return [
            self._head_norm(layer, weights.QUERY_NORM, query, self._shape.heads),
            self._head_norm(layer, weights.KEY_NORM, key, self._shape.kv_heads),
            value,
        ]

    def _head_norm(self, layer: int, norm: str, operand: str, heads: int) -> str:
        graph, size, name = self._graph, self._shape.head_size, f"{norm}.{layer}"
        apart = graph.constant(f"{name}.heads", np.array([0, 0, heads, size], np.int64))
        joined = graph.constant(f"{name}.row", np.array([0, 0, heads * size], np.int64))
        split = graph.node("Reshape", [operand, apart], f"{name}.split")
        scale = graph.vector(f"{of_layer(layer, norm)}.weight", [of_layer(layer, norm)])
        normed = self._rms(split, scale, f"{name}.normed")
        return graph.node("Reshape", [normed, joined], f"{name}.joined")

    def _feed_forward(self, layer: int, normed: str) -> str:
        graph, shape = self._graph, self._shape
        gate, up = (
            graph.matmul(
                of_layer(layer, part),
                [(of_layer(layer, part), shape.feed_forward_size)],
                shape.hidden_size,
                normed,
                f"{part}.{layer}",
                sensitive=False,
            )
            for part in (weights.GATE, weights.UP)
        )
        sigmoid = graph.node("Sigmoid", [gate], f"gate_sigmoid.{layer}")
        active = graph.node("Mul", [gate, sigmoid], f"gate_active.{layer}")
        gated = graph.node("Mul", [active, up], f"gated.{layer}")
        source = (of_layer(layer, weights.DOWN), shape.hidden_size)
        size, output = shape.feed_forward_size, f"feed_forward_out.{layer}"
        return graph.matmul(source[0], [source], size, gated, output, sensitive=False)
