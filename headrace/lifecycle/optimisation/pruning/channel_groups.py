"""Finds the channels of a graph that can be removed: those between one layer and the next ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.lifecycle.optimisation.graph_editing import Array, GraphIndex, attribute

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

ALONG = frozenset(
    {
        *(
            "Relu",
            "LeakyRelu",
            "Elu",
            "Selu",
            "Celu",
            "Sigmoid",
            "HardSigmoid",
            "HardSwish",
            "Mish",
        ),
        *("Softplus", "Softsign", "Tanh", "Gelu", "Erf", "ThresholdedRelu", "Clip", "Identity"),
        *(
            "Abs",
            "Neg",
            "Exp",
            "Sqrt",
            "Sin",
            "Cos",
            "Reciprocal",
            "Sign",
            "Ceil",
            "Floor",
            "Round",
        ),
    }
)
"""Operators that give each value by itself."""
_TOGETHER = frozenset(["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu"])
_POOLS = frozenset(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])


@dataclass(frozen=True, slots=True)
class Cut:
    """A constant that has the channels along an axis, each of them `repeats` times in a row."""

    node: NodeProto
    place: int
    """Which input of the node it is."""
    axis: int
    repeats: int = 1


@dataclass(slots=True)
class ChannelGroup:
    """The output channels of one layer, and all that has to change when some are removed."""

    producer: NodeProto
    count: int
    makes: list[Cut]
    """The producer's own weights."""
    between: list[Cut] = field(default_factory=list)
    takes: list[Cut] = field(default_factory=list)
    """The weights of the layers that take the channels."""


@dataclass(frozen=True, slots=True)
class _Carried:
    """A tensor that carries the channels along an axis, counted from the front (`rank` where known)."""

    name: str
    axis: int
    rank: int | None
    repeats: int = 1


class Obstacle(Exception):
    """Something in the graph keeps channels from being removed."""


def channel_groups(graph: GraphProto) -> list[ChannelGroup]:
    """Every group of channels that can be removed without a trace elsewhere in the graph."""
    index = GraphIndex(graph)
    found: list[ChannelGroup] = []
    for node in graph.node:
        made = _made_by(index, node)
        if made is None:
            continue
        group, carried = made
        try:
            _follow(index, group, carried)
        except Obstacle:
            continue
        if group.takes and group.count > 1:
            found.append(group)
    return found


def _made_by(index: GraphIndex, node: NodeProto) -> tuple[ChannelGroup, _Carried] | None:
    """A layer's channels, and the tensor that first carries them."""
    weights = index.constant(node.input[1]) if len(node.input) > 1 else None
    if weights is None or node.domain or weights.dtype.kind != "f":
        return None
    if node.op_type == "Gemm" and weights.ndim == 2:
        axis = 0 if attribute(node, "transB", 0) else 1
        return _layer(index, node, weights, axis, 1, 2)
    if node.op_type == "MatMul" and weights.ndim == 2:
        return _layer(index, node, weights, 1, -1, None)
    if node.op_type == "Conv" and attribute(node, "group", 1) == 1:
        return _layer(index, node, weights, 0, 1, weights.ndim)
    return None


def _layer(
    index: GraphIndex,
    node: NodeProto,
    weights: Array,
    axis: int,
    carried_axis: int,
    rank: int | None,
) -> tuple[ChannelGroup, _Carried] | None:
    count = weights.shape[axis]
    group = ChannelGroup(node, count, [Cut(node, 1, axis)])
    if len(node.input) > 2 and node.input[2]:
        bias = index.constant(node.input[2])
        if bias is None:
            return None
        if bias.ndim and bias.shape[-1] == count:
            group.makes.append(Cut(node, 2, bias.ndim - 1))
        elif bias.size != 1:
            return None
    return group, _Carried(node.output[0], carried_axis, rank)


def _follow(index: GraphIndex, group: ChannelGroup, first: _Carried) -> None:
    """Go through all that takes the channels, until layers end them. Raises Obstacle."""
    carried = {first.name: first}
    left = [first]
    while left:
        tensor = left.pop()
        if tensor.name in index.outputs or tensor.name in index.inner:
            raise Obstacle
        takers = index.takers[tensor.name]
        if not takers:
            raise Obstacle
        for node in takers:
            for made in _through(index, group, node, tensor):
                if made.name not in carried:
                    carried[made.name] = made
                    left.append(made)
    _check_meetings(index, group, carried)


def _through(
    index: GraphIndex, group: ChannelGroup, node: NodeProto, tensor: _Carried
) -> Iterator[_Carried]:
    """What a node makes of the channels; nothing where it ends them. Raises Obstacle."""
    kind = node.op_type
    if node.domain not in ("", "ai.onnx"):
        raise Obstacle
    out = _Carried(node.output[0], tensor.axis, tensor.rank, tensor.repeats)
    if _keeps_channels(node, tensor):
        yield out
    elif kind == "BatchNormalization" and _is_first(node, tensor) and tensor.axis == 1:
        _cut_statistics(index, group, node, tensor)
        yield out
    elif kind in _TOGETHER:
        _cut_others(index, group, node, tensor)
        yield out
    elif kind in ("Flatten", "Reshape") and _is_first(node, tensor):
        yield _flattened(index, group, node, tensor)
    elif kind == "ReduceMean" and _is_first(node, tensor):
        yield _averaged(index, node, tensor)
    else:
        _cut_taker(index, group, node, tensor)


def _keeps_channels(node: NodeProto, tensor: _Carried) -> bool:
    """Return whether a node gives as many channels as it takes, each from the one at its place alone."""
    outputs = [name for name in node.output if name]
    if not _is_first(node, tensor) or len(outputs) != 1:
        return False
    return (
        node.op_type in ALONG
        or node.op_type == "Dropout"
        or (node.op_type in _POOLS and tensor.axis == 1)
    )


def _is_first(node: NodeProto, tensor: _Carried) -> bool:
    return bool(node.input[0] == tensor.name and list(node.input).count(tensor.name) == 1)


def _cut_statistics(
    index: GraphIndex, group: ChannelGroup, node: NodeProto, tensor: _Carried
) -> None:
    if attribute(node, "training_mode", 0) or tensor.repeats != 1 or len(node.output) != 1:
        raise Obstacle
    for place in range(1, 5):
        value = index.constant(node.input[place])
        if value is None or value.shape != (group.count,):
            raise Obstacle
        group.between.append(Cut(node, place, 0))


def _cut_others(index: GraphIndex, group: ChannelGroup, node: NodeProto, tensor: _Carried) -> None:
    """Cut the constant that meets the channels; tensors that carry them, too, stay as they are."""
    for place, name in enumerate(node.input):
        if name == tensor.name or _carries(index, group, name):
            continue
        value = index.constant(name)
        if value is None:
            raise Obstacle
        axis = _constant_axis(value, group, tensor)
        if axis is not None:
            cut = Cut(node, place, axis, tensor.repeats)
            if cut not in group.between:
                group.between.append(cut)


def _constant_axis(value: Array, group: ChannelGroup, tensor: _Carried) -> int | None:
    """The axis of a constant that has the channels; None where it is the same for all of them."""
    if value.size == 1 and (tensor.rank is None or value.ndim <= tensor.rank):
        return None
    if tensor.axis == -1:
        axis = value.ndim - 1
    elif tensor.rank is None or value.ndim > tensor.rank:
        raise Obstacle
    else:
        axis = value.ndim - (tensor.rank - tensor.axis)
    if axis < 0 or value.shape[axis] == 1:
        return None
    if value.shape[axis] != group.count * tensor.repeats:
        raise Obstacle
    return axis


def _carries(index: GraphIndex, group: ChannelGroup, name: str) -> bool:
    """Return whether a tensor comes from the producer's channels alone, value by value."""
    while name in index.makers:
        node = index.makers[name]
        if node is group.producer:
            return True
        if node.op_type in ALONG:
            name = node.input[0]
            continue
        if node.op_type in _TOGETHER:
            moving = [each for each in node.input if index.constant(each) is None]
            return bool(moving) and all(_carries(index, group, each) for each in moving)
        return False
    return False


def _flattened(
    index: GraphIndex, group: ChannelGroup, node: NodeProto, tensor: _Carried
) -> _Carried:
    """Images as rows: each channel is as many values in a row as it has pixels."""
    if tensor.axis != 1 or not _makes_rows(index, node):
        raise Obstacle
    for taker in index.takers[node.output[0]]:
        weights = index.constant(taker.input[1]) if len(taker.input) > 1 else None
        if taker.op_type in ("Gemm", "MatMul") and weights is not None and weights.ndim == 2:
            width = weights.shape[1 if _is_transposed(taker) else 0]
            if width % group.count == 0:
                return _Carried(node.output[0], 1, 2, width // group.count)
    raise Obstacle


def _makes_rows(index: GraphIndex, node: NodeProto) -> bool:
    if node.op_type == "Flatten":
        return bool(attribute(node, "axis", 1) == 1)
    shape = index.constant(node.input[1])
    return shape is not None and shape.tolist() == [0, -1]


def _averaged(index: GraphIndex, node: NodeProto, tensor: _Carried) -> _Carried:
    """The average over an image, as exporters write global average pooling."""
    given = index.constant(node.input[1]) if len(node.input) > 1 else None
    axes = attribute(node, "axes", None) if given is None else given.tolist()
    if tensor.rank is None or tensor.axis != 1 or not axes:
        raise Obstacle
    gone = {axis % tensor.rank for axis in axes}
    if not gone <= set(range(2, tensor.rank)):
        raise Obstacle
    left = tensor.rank if attribute(node, "keepdims", 1) else tensor.rank - len(gone)
    return _Carried(node.output[0], 1, left, tensor.repeats)


def _is_transposed(node: NodeProto) -> bool:
    return node.op_type == "Gemm" and bool(attribute(node, "transB", 0))


def _cut_taker(index: GraphIndex, group: ChannelGroup, node: NodeProto, tensor: _Carried) -> None:
    """A layer that takes the channels, and gives others. Raises Obstacle for all that is none."""
    weights = index.constant(node.input[1]) if len(node.input) > 1 else None
    if not _is_first(node, tensor) or weights is None:
        raise Obstacle
    if node.op_type == "Conv" and attribute(node, "group", 1) == 1 and tensor.axis == 1:
        axis = 1
    elif node.op_type == "MatMul" and weights.ndim == 2 and _is_last(tensor):
        axis = 0
    elif node.op_type == "Gemm" and _is_last(tensor) and not attribute(node, "transA", 0):
        axis = 1 if _is_transposed(node) else 0
    else:
        raise Obstacle
    if weights.shape[axis] != group.count * tensor.repeats:
        raise Obstacle
    group.takes.append(Cut(node, 1, axis, tensor.repeats))


def _is_last(tensor: _Carried) -> bool:
    return tensor.axis == -1 or tensor.rank == tensor.axis + 1


def _check_meetings(index: GraphIndex, group: ChannelGroup, carried: dict[str, _Carried]) -> None:
    """Raise Obstacle where tensors meet of which one was taken for the channels and is not carried."""
    for name in carried:
        node = index.makers[name]
        if node is group.producer or node.op_type not in _TOGETHER:
            continue
        moving = [each for each in node.input if index.constant(each) is None]
        if any(each not in carried for each in moving):
            raise Obstacle
        if len({carried[each].repeats for each in moving}) > 1:
            raise Obstacle
