"""The encoding and the network as one graph: callers send columns as they are, NaN and all."""

from __future__ import annotations

import numpy as np
import onnx

from examples.tabular_mlp.encoding import UNKNOWN, Encoding
from examples.tabular_mlp.flights import CATEGORIES, NUMBERS
from examples.tabular_mlp.network import Network
from examples.training.graph import FLOAT, INT64, TEXT, Graph


def exported(
    encoding: Encoding, network: Network, weight: float, threshold: float
) -> onnx.ModelProto:
    """Inputs of one value a row; `label` is 1 over the threshold.

    What a class weight added to the logit is taken off again, so that probabilities are those of the rows.
    """
    graph = Graph("flights")
    columns = [_numbers(graph, encoding), *_embedded(graph, encoding, network)]
    logit = _dense(graph, graph.node("Concat", *columns, axis=1), network)
    logit = graph.node("Sub", logit, graph.constant(np.log(weight)))
    late = graph.node("Sigmoid", logit)
    in_time = graph.node("Sub", graph.constant(1), late)
    above = graph.node("Cast", graph.node("Greater", late, graph.constant(threshold)), to=INT64)
    graph.output("label", graph.node("Squeeze", above, graph.constant([1], np.int64)), INT64)
    graph.output("probabilities", graph.node("Concat", in_time, late, axis=1), FLOAT, 2)
    return graph.model("Late flights, embeddings and dense layers")


def _numbers(graph: Graph, encoding: Encoding) -> str:
    """Impute, scale, and say what was missing."""
    values = graph.node("Concat", *(graph.input(name, FLOAT, 1) for name in NUMBERS), axis=1)
    missing = graph.node("IsNaN", values)
    means = graph.constant(encoding.means)
    centred = graph.node("Sub", graph.node("Where", missing, means, values), means)
    standard = graph.node("Div", centred, graph.constant(encoding.deviations))
    return graph.node("Concat", standard, graph.node("Cast", missing, to=FLOAT), axis=1)


def _embedded(graph: Graph, encoding: Encoding, network: Network) -> list[str]:
    """A vector for each text."""
    vectors = []
    for name, embedding in zip(CATEGORIES, network.embeddings, strict=True):
        text = graph.node("Squeeze", graph.input(name, TEXT, 1), graph.constant([1], np.int64))
        place = graph.index(text, ["", *encoding.known[name]], unknown=UNKNOWN)
        table = graph.constant(embedding.weight.detach().numpy())
        vectors.append(graph.node("Gather", table, place, axis=0))
    return vectors


def _dense(graph: Graph, value: str, network: Network) -> str:
    layers = [each for each in network.layers if hasattr(each, "weight")]
    for number, layer in enumerate(layers):
        weights = graph.constant(layer.weight.detach().numpy().T)
        value = graph.node("MatMul", value, weights)
        value = graph.node("Add", value, graph.constant(layer.bias.detach().numpy()))
        if number + 1 < len(layers):
            value = graph.node("Relu", value)
    return value
