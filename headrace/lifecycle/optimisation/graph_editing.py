"""Looks things up in an ONNX graph, and puts others in their place."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headrace.errors import FailedPrecondition

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Array = npt.NDArray[Any]


def not_offered(what: str) -> FailedPrecondition:
    """An error of a method that does nothing for a graph."""
    return FailedPrecondition("NOTHING_TO_OPTIMISE", what)


class GraphIndex:
    """What makes and takes each tensor of a graph, and the constants in it."""

    def __init__(self, graph: GraphProto) -> None:
        self.graph = graph
        self.takers: dict[str, list[NodeProto]] = defaultdict(list)
        self.makers: dict[str, NodeProto] = {}
        self.outputs = {each.name for each in graph.output}
        self._inputs = {each.name for each in graph.input}
        self._weights = {each.name: each for each in graph.initializer}
        for node in graph.node:
            self.makers.update(dict.fromkeys(node.output, node))
            for name in dict.fromkeys(node.input):
                self.takers[name].append(node)
        self.inner = _read_by_subgraphs(graph)

    def constant(self, name: str) -> Array | None:
        """A constant's value; None of what callers may give, or nodes compute."""
        from onnx import numpy_helper

        if name in self._inputs:  # callers may give another
            return None
        tensor = self._weights.get(name) or self._from_node(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add(self, value: Array, fresh: str) -> None:
        """Add a constant under a new name."""
        from onnx import numpy_helper

        tensor = numpy_helper.from_array(np.ascontiguousarray(value), fresh)
        self.graph.initializer.append(tensor)
        self._weights[fresh] = tensor

    def _from_node(self, name: str) -> TensorProto | None:
        node = self.makers.get(name)
        if node is None or node.op_type != "Constant":
            return None
        return next((each.t for each in node.attribute if each.name == "value"), None)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """The value of a node's attribute."""
    from onnx import helper

    found = next((each for each in node.attribute if each.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def name_nodes(model: ModelProto) -> None:
    """Give a name to every node that has none: quantisers tell nodes by their names."""
    taken = {node.name for node in model.graph.node}
    for place, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{place}"
            while name in taken:
                name += "_"
            taken.add(name)
            node.name = name


def drop_unused_weights(graph: GraphProto) -> None:
    """Remove constants that no node takes."""
    used = {name for node in graph.node for name in node.input}
    used |= {each.name for each in graph.output} | {each.name for each in graph.input}
    used |= _read_by_subgraphs(graph)
    left = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(left)


def keep_ends(model: ModelProto, parent: ModelProto) -> None:
    """Declare inputs and outputs as the parent does, where tools wrote their shapes in other words."""
    ends = {each.name: each for each in (*parent.graph.input, *parent.graph.output)}
    for each in (*model.graph.input, *model.graph.output):
        if each.name in ends:
            each.CopyFrom(ends[each.name])


def float_weights(model: ModelProto) -> int:
    """Count the FP32 weights of a graph, constants of nodes with them."""
    from onnx import TensorProto

    constants = (
        each.t for node in model.graph.node if node.op_type == "Constant" for each in node.attribute
    )
    return sum(
        int(np.prod(tensor.dims, dtype=np.int64))
        for tensor in (*model.graph.initializer, *constants)
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 0
    )


def _read_by_subgraphs(graph: GraphProto) -> set[str]:
    """The names that graphs inside of nodes take."""
    found: set[str] = set()
    for node in graph.node:
        for each in node.attribute:
            for inner in (each.g, *each.graphs):
                found |= {name for step in inner.node for name in step.input}
                found |= {end.name for end in inner.output}
                found |= _read_by_subgraphs(inner)
    return found
