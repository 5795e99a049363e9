"""Looking for operators in a model, in its functions and in the graphs inside its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def has_operator(model: ModelProto, name: str) -> bool:
    """Return whether any node is of ONNX's operator of this name."""
    nodes = (*model.graph.node, *(node for function in model.functions for node in function.node))
    return any(node.op_type == name and node.domain in ("", "ai.onnx") for node in _all(nodes))


def all_graphs(model: ModelProto) -> Iterator[GraphProto]:
    """Every graph of a model: its own, and those inside nodes."""
    yield model.graph
    for node in _all(model.graph.node):
        for attribute in node.attribute:
            yield from (graph for graph in (attribute.g, *attribute.graphs) if graph.node)


def _all(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    left = list(nodes)
    while left:
        node = left.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                left.extend(graph.node)
