"""Writes trees as a graph that takes a client's answers by name, and labels by the chosen threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from examples.lightgbm.credit import CATEGORIES, NUMBERS
from examples.training.graph import FLOAT, INT64, TEXT, Graph

UNKNOWN = -1


def exported(model: Any, known: dict[str, list[str]], threshold: float) -> onnx.ModelProto:
    """Inputs of one value a row, FP32 or texts for categories; `label` is 1 over the threshold."""
    graph = Graph("credit")
    columns = [graph.input(name, FLOAT, 1) for name in NUMBERS]
    columns += [_category(graph, name, known[name]) for name in CATEGORIES]
    _, probabilities = graph.include(_trees(model), graph.node("Concat", *columns, axis=1))
    of_bad = graph.node("Gather", probabilities, graph.constant([1], np.int64), axis=1)
    above = graph.node("Greater", of_bad, graph.constant(threshold))
    label = graph.node(
        "Squeeze", graph.node("Cast", above, to=INT64), graph.constant([1], np.int64)
    )
    graph.output("label", label, INT64)
    graph.output("probabilities", probabilities, FLOAT, 2)
    return graph.model("Credit risk, gradient boosted trees")


def _category(graph: Graph, name: str, known: list[str]) -> str:
    """The place of a text as FP32; NaN, as the trees know what is missing, for one that is not known."""
    place = graph.index(graph.input(name, TEXT, 1), known, unknown=UNKNOWN)
    is_unknown = graph.node("Equal", place, graph.constant(UNKNOWN, np.int64))
    return graph.node(
        "Where", is_unknown, graph.constant(np.nan), graph.node("Cast", place, to=FLOAT)
    )


def _trees(model: Any) -> onnx.ModelProto:
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    width = len(NUMBERS) + len(CATEGORIES)
    trees: onnx.ModelProto = convert_lightgbm(
        model, initial_types=[("features", FloatTensorType([None, width]))], zipmap=False
    )
    return trees
