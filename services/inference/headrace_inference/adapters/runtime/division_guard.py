"""Integer division that cannot end the process: graphs are changed before ONNX Runtime sees them.

On x86 the smallest integer of 32 or 64 bits divided by -1 does not fit its type, and the processor's signal
ends the replica; ONNX Runtime divides without looking. Whoever may call a model that divides by what it is
given could send these two numbers. Guarded, a division by -1 is a negation and a remainder by -1 is 0.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import AttributeProto, TensorProto, helper, numpy_helper

_TRAPPING = {TensorProto.INT32: np.int32, TensorProto.INT64: np.int64}
_MARKS = (b"\x22\x03Div", b"\x22\x03Mod")
"""How the two operators' names look among a node's bytes."""

_FIRST_OPSET = 9
"""`Where` came with it; older graphs are left as they are."""

_PREFIX = "headrace_division_guard"


@contextmanager
def guarded(path: Path) -> Iterator[Path]:
    """Where the graph is to be read while inside: at its path, or in a changed copy beside it.

    Beside it, so that external data is found; and no longer than it is read. Raises OSError.
    """
    graph = guarded_graph(path)
    if graph is None:
        yield path
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="guarded-", suffix=".onnx") as copy:
        copy.write(graph)
        copy.flush()
        yield Path(copy.name)


def guarded_graph(path: Path) -> bytes | None:
    """The graph at a path with its divisions guarded; None where none needs it. Raises OSError."""
    if not _names_division(path):
        return None
    try:
        model = onnx.load(path, load_external_data=False)
        guard = _Guard(model)
        if not guard.is_needed():
            return None
        guard.change(model.graph)
        return bytes(model.SerializeToString()) if guard.changed else None
    except (DecodeError, EncodeError, onnx.shape_inference.InferenceError):
        return None  # ONNX Runtime says what is wrong with it


def _names_division(path: Path) -> bool:
    """Whether the file names one of the operators: most do not, and need not be parsed."""
    if not path.is_file() or not path.stat().st_size:
        return False  # ONNX Runtime says what is wrong with it
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(mark) >= 0 for mark in _MARKS)


class _Guard:
    """Finds the divisions of one model that may trap, and changes them."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._harmless = set(_harmless_constants(model.graph))
        self._types: dict[str, int] = {}
        self.changed = 0

    def is_needed(self) -> bool:
        """Whether any division may trap; finds out their types only if so."""
        opset = max(
            (each.version for each in self._model.opset_import if not each.domain), default=0
        )
        if opset < _FIRST_OPSET or not any(map(self._is_open, _nodes(self._model.graph))):
            return False
        inferred = onnx.shape_inference.infer_shapes(_without_weights(self._model))
        for name, kind in _declared_types(inferred.graph):
            # The graphs of two branches may use one name for different things: then it says nothing.
            self._types[name] = kind if self._types.get(name, kind) == kind else 0
        return True

    def change(self, graph: Any) -> None:
        """Guard the divisions of a graph and of the graphs in its nodes."""
        nodes = list(graph.node)
        del graph.node[:]
        for node in nodes:
            for inner in _graphs_in(node):
                self.change(inner)
            graph.node.extend(self._guarded(node) if self._may_trap(node) else [node])

    def _is_open(self, node: Any) -> bool:
        """Whether it is a division by something that is not known to be other than -1."""
        if node.domain or node.op_type not in ("Div", "Mod") or len(node.input) != 2:
            return False
        return node.input[1] not in self._harmless

    def _may_trap(self, node: Any) -> bool:
        return self._is_open(node) and self._type_of(node) in _TRAPPING

    def _type_of(self, node: Any) -> int:
        known = (self._types.get(name, 0) for name in (*node.input, *node.output))
        return next(filter(None, known), 0)

    def _guarded(self, node: Any) -> Iterator[Any]:
        """The nodes that take its place: it divides by 1 where it would by -1, and that is put right."""
        dtype = _TRAPPING[self._type_of(node)]
        self.changed += 1
        name = f"{_PREFIX}_{self.changed}"
        dividend, divisor, result = node.input[0], node.input[1], node.output[0]
        for suffix, value in (("one", 1), ("minus_one", -1)):
            constant = numpy_helper.from_array(np.array(value, dtype))
            yield helper.make_node("Constant", [], [f"{name}_{suffix}"], value=constant)
        yield helper.make_node("Equal", [divisor, f"{name}_minus_one"], [f"{name}_is"])
        yield helper.make_node("Where", [f"{name}_is", f"{name}_one", divisor], [f"{name}_safe"])
        node.input[1] = f"{name}_safe"
        if node.op_type == "Div":
            node.output[0] = f"{name}_quotient"
        yield node
        if node.op_type == "Div":
            yield helper.make_node("Neg", [dividend], [f"{name}_negated"])
            choice = [f"{name}_is", f"{name}_negated", f"{name}_quotient"]
            yield helper.make_node("Where", choice, [result])


def _harmless_constants(graph: Any) -> Iterator[str]:
    """The constants of a graph, not those of graphs in it, that are known to have no -1."""
    constants = [(tensor.name, tensor) for tensor in graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant":
            constants += [
                (node.output[0], each.t) for each in node.attribute if each.name == "value"
            ]
    for name, tensor in constants:
        if tensor.data_type not in _TRAPPING or _has_no_minus_one(tensor):
            yield name


def _has_no_minus_one(tensor: Any) -> bool:
    if tensor.data_location == TensorProto.EXTERNAL:  # not looked at: it may be large
        return False
    return not (numpy_helper.to_array(tensor) == -1).any()


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for inner in _graphs_in(node):
            yield from _nodes(inner)


def _graphs_in(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _without_weights(model: Any) -> Any:
    """The model with its initializers as inputs: their types are needed, their bytes are not."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    given = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.name not in given:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return light


def _declared_types(graph: Any) -> Iterator[tuple[str, int]]:
    """The element types of a graph's values and of those in its nodes' graphs, as far as they are known."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type:
            yield value.name, value.type.tensor_type.elem_type
    for node in graph.node:
        for inner in _graphs_in(node):
            yield from _declared_types(inner)
