"""Finds the numbers that a graph keeps most of its weights in."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from headrace_registry.adapters.checks.graph_walk import all_graphs

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_BY_ELEMENT = {
    1: "fp32",
    10: "fp16",
    11: "fp64",
    16: "bf16",
    2: "int8",
    3: "int8",
    17: "fp8",
    18: "fp8",
    19: "fp8",
    20: "fp8",
    21: "int4",
    22: "int4",
}
"""By the number of ONNX's datatype; numbers that are no weights are not among them."""
_BITS = range(2, 9)
_PACKED = ("MatMulNBits", "GatherBlockQuantized")
"""Operators whose weights are packed into bytes, and that say how many bits one has."""


def weights_of(model: ModelProto) -> str:
    """Return the narrowest form of at least a quarter of the weights, such as `int4`; '' for none.

    Exporters keep what is sensitive in more bits, and call the whole by the fewest. Packed tables of
    embeddings are read a row at a time, and are not counted.
    """
    counts: Counter[str] = Counter()
    packed: set[str] = set()
    for graph in all_graphs(model):
        for node in graph.node:
            if node.op_type in _PACKED and len(node.input) > 1:
                packed.update(node.input)  # the table of GatherBlockQuantized is its first
                bits = _attribute(node, "bits", 4)
                counts[f"int{bits}"] += _packed_count(node) if bits in _BITS else 0
    for graph in all_graphs(model):
        for tensor in graph.initializer:
            form = _BY_ELEMENT.get(tensor.data_type)
            if form and tensor.name not in packed:
                counts[form] += math.prod(tensor.dims)
    many = [form for form, count in counts.items() if 4 * count >= counts.total()]
    return min(many, key=_bits) if many else ""


def _bits(form: str) -> int:
    return int(form.lstrip("bfpint"))


def _packed_count(node: NodeProto) -> int:
    return _attribute(node, "K", 0) * _attribute(node, "N", 0)


def _attribute(node: NodeProto, name: str, default: int) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), default)
