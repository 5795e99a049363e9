"""Removes channels from a graph, and has what they gave made of those that are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.optimisation.graph_editing import (
    Array,
    GraphIndex,
    attribute,
    drop_unused_weights,
)
from headrace.lifecycle.optimisation.pruning.channel_groups import (
    ChannelGroup,
    Cut,
    channel_groups,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Channels = npt.NDArray[np.int64]

_RIDGE = 1e-4
"""Of the channels' mean variance: samples are few, and channels alike."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Moments:
    """The average of each channel, and of the products of any two."""

    means: Array
    products: Array

    @property
    def covariance(self) -> Array:
        """Return how channels vary with one another."""
        return np.asarray(self.products - np.outer(self.means, self.means))

    def regression(
        self, kept: Channels, gone: Channels, *, with_constant: bool
    ) -> tuple[Array, Array]:
        """How removed channels follow from those that are left: shares [kept, gone], constants [gone]."""
        taken = self.covariance if with_constant else self.products
        inner = taken[np.ix_(kept, kept)]
        inner = inner + np.eye(len(kept)) * (_RIDGE * np.trace(inner) / len(kept) + _TINY)
        shares = np.linalg.solve(inner, taken[np.ix_(kept, gone)])
        return shares, self.means[gone] - self.means[kept] @ shares


def layer_name(group: ChannelGroup) -> str:
    """The tensor that a group's layer makes: it names the group in every copy of a graph."""
    return str(group.producer.output[0])


def without_channels(
    model: ModelProto,
    kept: Mapping[str, Channels],
    moments: Mapping[str, Moments] | None = None,
) -> ModelProto:
    """The graph with only these channels of layers, by `layer_name`, ascending.

    `moments`, by the name of the tensor that a layer takes, say how channels follow from one another: the
    weights of the layer and its bias, where it has one, then give what is closest to what those that are
    removed gave. A channel that always gives the same is then removed without any difference.
    """
    copy = type(model)()
    copy.CopyFrom(model)
    for name, channels in kept.items():
        groups = channel_groups(copy.graph)  # of the graph as it is now: removal changes it
        group = next(each for each in groups if layer_name(each) == name)
        if len(channels) < group.count:
            _remove(copy, group, channels, moments or {})
    drop_unused_weights(copy.graph)
    del copy.graph.value_info[:]  # shapes of before
    return copy


def _remove(
    model: ModelProto, group: ChannelGroup, kept: Channels, moments: Mapping[str, Moments]
) -> None:
    index = GraphIndex(model.graph)
    gone = np.setdiff1d(np.arange(group.count), kept)
    for cut in group.takes:
        if (found := moments.get(cut.node.input[0])) is not None:
            _make_up(index, cut, kept, gone, found)
    for cut in (*group.makes, *group.between, *group.takes):
        value = index.constant(cut.node.input[cut.place])
        assert value is not None, "groups are of constants"
        _put(index, cut, np.take(value, _places(kept, cut.repeats), axis=cut.axis))


def _places(channels: Channels, repeats: int) -> Channels:
    return (channels[:, None] * repeats + np.arange(repeats)).reshape(-1)


def _put(index: GraphIndex, cut: Cut, value: Array) -> None:
    """Give a node another constant; others that take the former one keep it."""
    at = cut.place
    taken = {each.name for each in index.graph.initializer}
    fresh = f"{cut.node.input[at]}_pruned"
    while fresh in taken:
        fresh += "_"
    index.add(value, fresh)
    cut.node.input[at] = fresh


def bias_place(index: GraphIndex, cut: Cut) -> tuple[NodeProto, int] | None:
    """The node and the input that can take what removed channels gave on average; None: there is none.

    At the edge of an image padding stands for nothing, so that no bias can.
    """
    node = cut.node
    if node.op_type == "Conv":
        padded = any(attribute(node, "pads", [0])) or attribute(node, "auto_pad", b"") not in (
            *(b"", b"NOTSET", b"VALID"),
        )
        return None if padded else _own_bias(index, node)
    if node.op_type == "Gemm":
        return _own_bias(index, node) if attribute(node, "beta", 1.0) else None
    takers = index.takers[node.output[0]]
    if len(takers) != 1 or takers[0].op_type != "Add" or node.output[0] in index.outputs:
        return None
    place = 1 - list(takers[0].input).index(node.output[0])
    bias = index.constant(takers[0].input[place])
    weights = index.constant(node.input[1])
    fits = bias is not None and weights is not None and bias.shape == weights.shape[1:]
    return (takers[0], place) if fits else None


def _own_bias(index: GraphIndex, node: NodeProto) -> tuple[NodeProto, int] | None:
    if len(node.input) < 3 or not node.input[2]:
        return None
    bias = index.constant(node.input[2])
    return (node, 2) if bias is not None and bias.ndim == 1 else None


def _make_up(index: GraphIndex, cut: Cut, kept: Channels, gone: Channels, moments: Moments) -> None:
    """Have the layer make what removed channels gave of those that are left, and of its bias."""
    found = bias_place(index, cut)
    shares, rest = moments.regression(kept, gone, with_constant=found is not None)
    weights = index.constant(cut.node.input[cut.place])
    assert weights is not None, "groups are of constants"
    moved = np.moveaxis(weights, cut.axis, 0)
    channels = moved.reshape(-1, cut.repeats, *moved.shape[1:]).astype(np.float64)
    if found is not None:
        _shift(index, found, _response(cut, rest, channels[gone]))
    channels[kept] += np.tensordot(shares, channels[gone], axes=1)
    changed = np.moveaxis(channels.reshape(moved.shape), 0, cut.axis)
    _put(index, cut, changed.astype(weights.dtype))


def _response(cut: Cut, constants: Array, weights: Array) -> Array:
    """What a layer makes of channels that always give these constants: [channels, repeats, outputs …]."""
    summed = np.tensordot(constants, weights.sum(axis=1), axes=1)
    if cut.node.op_type == "Conv":
        return np.asarray(summed.reshape(len(summed), -1).sum(axis=1))
    if cut.node.op_type == "Gemm":
        summed = summed * (attribute(cut.node, "alpha", 1.0) / attribute(cut.node, "beta", 1.0))
    return np.asarray(summed)


def _shift(index: GraphIndex, place: tuple[NodeProto, int], by: Array) -> None:
    node, at = place
    bias = index.constant(node.input[at])
    assert bias is not None, "it is the place of a constant"
    _put(index, Cut(node, at, 0), (bias + by).astype(bias.dtype))
