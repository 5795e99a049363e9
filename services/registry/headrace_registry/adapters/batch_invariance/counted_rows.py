"""Outputs whose first dimension is found while the graph runs: as many rows as there are hits.

It follows sizes that depend on values from the operators that make them, and only where it is certain: an
operator that is not known is taken to end them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import onnx

from headrace_registry.adapters.batch_invariance.constant_folding import literal
from headrace_registry.adapters.batch_invariance.interpreter import described
from headrace_registry.adapters.batch_invariance.nodes import RULES, domain_of
from headrace_registry.adapters.batch_invariance.rules.elementwise import (
    elementwise,
)
from headrace_registry.adapters.batch_invariance.values import Shape

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Axes: TypeAlias = Mapping[int, str]
"""The axes of a tensor whose sizes depend on values, each with the node to blame."""


@dataclass(frozen=True, slots=True)
class _Sized:
    """A node with what is known of its inputs."""

    proto: NodeProto
    counted: list[Axes]
    ranks: list[int | None]
    data: list[Any]
    """The elements of inputs that are small constants."""

    def attribute(self, name: str, default: Any = None) -> Any:
        for attribute in self.proto.attribute:
            if attribute.name == name:
                return onnx.helper.get_attribute_value(attribute)
        return default

    def numbers(self, name: str, index: int) -> list[int] | None:
        """An attribute of older opsets or a constant input of newer ones, where it is known."""
        data = self.data[index] if index < len(self.data) else None
        told = None if data is None else [int(n) for n in data.ravel()]
        found: list[int] | None = self.attribute(name, told)
        return found


def find_counted_output(graph: GraphProto, inferred: Mapping[str, Shape]) -> str:
    """The first output whose number of rows depends on values, and the node to blame; or nothing."""
    found = _Counter(graph, inferred).run(graph)
    for output in graph.output:
        blamed = found.get(output.name, {}).get(0)
        if blamed:
            return f"output {output.name[:80]!r} has as many rows as {blamed} finds"
    return ""


class _Counter:
    def __init__(self, graph: GraphProto, inferred: Mapping[str, Shape]) -> None:
        self._ranks: dict[str, int] = {name: len(shape) for name, shape in inferred.items()}
        self._ranks.update({tensor.name: len(tensor.dims) for tensor in graph.initializer})
        for info in graph.input:
            self._ranks.setdefault(info.name, len(info.type.tensor_type.shape.dim))
        self._data = {tensor.name: literal(tensor) for tensor in graph.initializer}
        constants = [node for node in graph.node if node.op_type == "Constant" and node.output]
        for node in constants:
            found = (literal(a.t) for a in node.attribute if a.name == "value")
            self._data[node.output[0]] = next(found, None)
        self._depends = {info.name for info in graph.input} - self._data.keys()

    def run(self, graph: GraphProto) -> dict[str, Axes]:
        found: dict[str, Axes] = {}
        for _ in range(2):  # nodes may stand in another order
            for node in graph.node:
                if node.op_type not in _SIZES and not self._depends.isdisjoint(node.input):
                    self._depends.update(node.output)
                for place, axes in self._of_node(node, found).items():
                    if place < len(node.output) and axes:
                        found[node.output[place]] = axes
        return found

    def _of_node(self, proto: NodeProto, found: dict[str, Axes]) -> dict[int, Axes]:
        inputs = list(proto.input)
        if domain_of(proto) != "" or self._depends.isdisjoint(inputs):
            return {}  # what is found among constants, or ones for each row, depends on no value
        counted = [found.get(name, {}) for name in inputs]
        ranks, data = map(self._ranks.get, inputs), map(self._data.get, inputs)
        node = _Sized(proto, counted, list(ranks), list(data))
        source = _SOURCES.get(proto.op_type)
        if source is not None:
            return source(node)
        if not any(counted):
            return {}
        return {0: _followed(node, self._ranks.get(proto.output[0]))}


def _non_zero(node: _Sized) -> dict[int, Axes]:
    return {0: {1: described(node.proto)}}


def _unique(node: _Sized) -> dict[int, Axes]:
    blamed, axis = described(node.proto), node.attribute("axis")
    axes = {0: blamed} if axis is None else _at(axis, node.ranks[0], blamed)
    return {0: axes, 1: {0: blamed}, 3: {0: blamed}}


def _compress(node: _Sized) -> dict[int, Axes]:
    blamed, axis = described(node.proto), node.attribute("axis")
    return {0: {0: blamed} if axis is None else _at(axis, node.ranks[0], blamed)}


def _suppression(node: _Sized) -> dict[int, Axes]:
    return {0: {0: described(node.proto)}}


def _at(axis: int, rank: int | None, blamed: str) -> Axes:
    if axis < 0 and rank is None:
        return {}
    return {axis % rank if rank else axis: blamed}


_SOURCES: Mapping[str, Callable[[_Sized], dict[int, Axes]]] = {
    "NonZero": _non_zero,
    "Unique": _unique,
    "Compress": _compress,
    "NonMaxSuppression": _suppression,
}


def _followed(node: _Sized, rank: int | None) -> Axes:
    operator = node.proto.op_type
    if operator in _SAME_SHAPE:
        return node.counted[0]
    if RULES.get(("", operator)) is elementwise:
        return _broadcast(node, rank)
    follow = _FOLLOWED.get(operator)
    return {} if follow is None else follow(node)


_SIZES = ("Shape", "Size")
"""What they give depends on no value of their input."""
_SAME_SHAPE = ("Cast", "Identity", "Softmax", "LogSoftmax", "CumSum", "Dropout")


def _broadcast(node: _Sized, rank: int | None) -> Axes:
    if len(node.proto.input) == 1:
        return node.counted[0]
    found: dict[int, str] = {}
    for axes, own in zip(node.counted, node.ranks, strict=True):
        if axes and own is not None and rank is not None:
            found.update({axis + rank - own: blamed for axis, blamed in axes.items()})
    return found


def _transpose(node: _Sized) -> Axes:
    axes, rank = node.counted[0], node.ranks[0]
    order = node.attribute("perm") or (list(range(rank))[::-1] if rank else None)
    if order is None:
        return {}
    return {order.index(axis): blamed for axis, blamed in axes.items()}


def _gather(node: _Sized) -> Axes:
    """Chosen by indices of which there are as many as were found, or from among what was found."""
    data_rank, index_rank = node.ranks[:2]
    if data_rank is None or index_rank is None:
        return {}
    axis = node.attribute("axis", 0) % data_rank
    found = {axis + place: blamed for place, blamed in node.counted[1].items()}
    for place, blamed in node.counted[0].items():
        if place != axis:
            found[place if place < axis else place + index_rank - 1] = blamed
    return found


def _gather_nd(node: _Sized) -> Axes:
    rank = node.ranks[1]
    return {} if rank is None else {a: b for a, b in node.counted[1].items() if a < rank - 1}


def _unsqueeze(node: _Sized) -> Axes:
    axes, rank = node.numbers("axes", 1), node.ranks[0]
    if axes is None or rank is None:
        return {}
    new = {axis % (rank + len(axes)) for axis in axes}
    old = [place for place in range(rank + len(axes)) if place not in new]
    return {old[axis]: blamed for axis, blamed in node.counted[0].items()}


def _squeeze(node: _Sized) -> Axes:
    axes, rank = node.numbers("axes", 1), node.ranks[0]
    if axes is None or rank is None:
        return {}
    gone = {axis % rank for axis in axes}
    left = [place for place in range(rank) if place not in gone]
    return {left.index(a): blamed for a, blamed in node.counted[0].items() if a in left}


def _reshape(node: _Sized) -> Axes:
    """All that is left goes to the axis that takes it."""
    target = node.numbers("shape", 1)
    if target is None or -1 not in target or 0 in target:
        return {}
    return dict.fromkeys([target.index(-1)], next(iter(node.counted[0].values()), ""))


def _concat(node: _Sized) -> Axes:
    return {axis: blamed for axes in node.counted for axis, blamed in axes.items()}


def _first(node: _Sized) -> Axes:
    """The rows of a product of matrices, or of what is cut out of other axes."""
    return {axis: blamed for axis, blamed in node.counted[0].items() if axis == 0}


_FOLLOWED: Mapping[str, Callable[[_Sized], Axes]] = {
    "Transpose": _transpose,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "GatherElements": lambda node: node.counted[1],
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Slice": lambda node: node.counted[0],
    "Gemm": _first,
    "MatMul": _first,
}
