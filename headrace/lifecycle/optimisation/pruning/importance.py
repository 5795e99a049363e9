"""Tells how much each channel matters: by how its values vary over a sample, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.lifecycle.optimisation.graph_editing import Array, GraphIndex
from headrace.lifecycle.optimisation.pruning.channel_groups import (
    ChannelGroup,
    Cut,
    channel_groups,
)
from headrace.lifecycle.optimisation.pruning.removal import (
    Channels,
    Moments,
    bias_place,
    layer_name,
)
from headrace.lifecycle.predictors.predictor import Tensors

if TYPE_CHECKING:
    from onnx import ModelProto

_STEP = 8
"""Wide layers keep multiples of this many channels: processors compute so many at a time."""


@dataclass(frozen=True, slots=True)
class Importance:
    """What is lost with each channel of each layer, and how channels follow from one another."""

    scores: Mapping[str, Array]
    """By `layer_name`."""
    moments: Mapping[str, Moments]
    """By the tensor that a layer takes."""

    def kept(self, fraction: float) -> dict[str, Channels]:
        """The channels that are left when that share of each layer's is removed, the least first."""
        return {name: _best(scores, fraction) for name, scores in self.scores.items()}


def importance_of(model: ModelProto, pieces: Iterable[Tensors]) -> Importance:
    """Measure it over rows of a sample; of the values themselves none is kept."""
    groups = channel_groups(model.graph)
    index = GraphIndex(model.graph)
    counts = {cut.node.input[0]: (cut, group.count) for group in groups for cut in group.takes}
    moments = _moments(model, counts, pieces)
    return Importance({layer_name(each): _scores(index, each, moments) for each in groups}, moments)


def _scores(index: GraphIndex, group: ChannelGroup, moments: Mapping[str, Moments]) -> Array:
    total = np.zeros(group.count)
    for cut in group.takes:
        found = moments[cut.node.input[0]]
        has_bias = bias_place(index, cut) is not None
        lost = np.diag(found.covariance if has_bias else found.products)
        weights = index.constant(cut.node.input[cut.place])
        assert weights is not None, "groups are of constants"
        others = tuple(axis for axis in range(weights.ndim) if axis != cut.axis)
        strength = (weights.astype(np.float64) ** 2).sum(axis=others)
        total += lost * strength.reshape(group.count, cut.repeats).sum(axis=1)
    return total


def _best(scores: Array, fraction: float) -> Channels:
    """The channels that are left; those that make no difference go first, whatever the share."""
    count = len(scores)
    wanted = count * (1 - fraction)
    left = -(-int(np.ceil(wanted)) // _STEP) * _STEP if count >= 2 * _STEP else round(wanted)
    left = min(count, max(1, left))
    return np.sort(np.argsort(-scores, kind="stable")[:left]).astype(np.int64)


def _moments(
    model: ModelProto, counts: Mapping[str, tuple[Cut, int]], pieces: Iterable[Tensors]
) -> dict[str, Moments]:
    session = _watching(model, counts)
    rows = dict.fromkeys(counts, 0)
    sums: dict[str, Array] = {name: np.zeros(count) for name, (_, count) in counts.items()}
    products: dict[str, Array] = {
        name: np.zeros((count, count)) for name, (_, count) in counts.items()
    }
    for piece in pieces:
        for name, values in zip(counts, session.run(list(counts), dict(piece)), strict=True):
            found = _by_channel(values, *counts[name])
            rows[name] += len(found)
            sums[name] += found.sum(axis=0)
            products[name] += found.T @ found
    return {name: Moments(sums[name] / rows[name], products[name] / rows[name]) for name in counts}


def _watching(model: ModelProto, names: Iterable[str]) -> Any:
    """A session that gives tensors from within the graph."""
    import onnxruntime
    from onnx import ValueInfoProto

    watched = type(model)()
    watched.CopyFrom(model)
    watched.graph.output.extend(ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        watched.SerializeToString(), options, ["CPUExecutionProvider"]
    )


def _by_channel(values: Array, cut: Cut, count: int) -> Array:
    """Values with the channels last, and all else in rows."""
    axis = 1 if cut.node.op_type in ("Conv", "Gemm") else values.ndim - 1
    moved = np.moveaxis(values, axis, -1)
    repeats = moved.shape[-1] // count
    apart = np.moveaxis(moved.reshape(*moved.shape[:-1], count, repeats), -2, -1)
    return apart.reshape(-1, count).astype(np.float64)
