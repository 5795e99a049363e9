"""Sets the smallest weights of a graph to 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headrace.lifecycle.optimisation.graph_editing import GraphIndex, not_offered
from headrace.lifecycle.optimisation.integers import STATIC_OPERATORS, weighted_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

_WITHOUT_TABLES = tuple(each for each in STATIC_OPERATORS if each != "Gather")


def without_small_weights(model: ModelProto, fraction: float) -> ModelProto:
    """The graph with that share of each layer's weights at 0: as large, and smaller when compressed.

    Raises FailedPrecondition (NOTHING_TO_OPTIMISE).
    """
    copy = type(model)()
    copy.CopyFrom(model)
    names = _weights(copy)
    if not names:
        raise not_offered("prune-weights: no layer of the graph has FP32 weights")
    _zero(copy, names, fraction)
    return copy


def _weights(model: ModelProto) -> set[str]:
    """The matrices and kernels of layers; biases are few, and all of them count."""
    index = GraphIndex(model.graph)
    nodes = weighted_nodes(model, _WITHOUT_TABLES)
    found = {(name, index.constant(name) is not None) for node in nodes for name in node.input[:2]}
    return {name for name, is_constant in found if is_constant}


def _zero(model: ModelProto, names: set[str], fraction: float) -> None:
    from onnx import numpy_helper

    for tensor in model.graph.initializer:
        if tensor.name in names and len(tensor.dims) > 1:
            value = numpy_helper.to_array(tensor).copy()
            sizes = np.abs(value)
            value[sizes <= np.quantile(sizes, fraction)] = 0
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
