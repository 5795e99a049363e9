"""Integer division that cannot end the process: graphs are changed before ONNX Runtime sees them.

On x86 the smallest integer of 32 or 64 bits divided by -1 does not fit its type, and the processor's signal
ends the replica; ONNX Runtime divides without looking. Whoever may call a model that divides by what it is
given could send these two numbers. Guarded, a division by -1 is a negation and a remainder by -1 is 0.
Division by 0 is an error of ONNX Runtime's own, and `fmod` never traps.

Functions of the model are taken apart where one divides. A value whose type nobody tells is guarded so that
it suits all types: whole numbers without a sign, and fractions, keep every bit.
"""

from __future__ import annotations

import logging
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import TensorProto, helper, inliner, numpy_helper

from headrace_inference.adapters.runtime.element_types import (
    ONNX_DOMAINS,
    UNKNOWN,
    Types,
    element_types,
    graphs_in,
    types_inside,
)
from headrace_inference.adapters.runtime.types_by_runtime import types_by_runtime

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto

logger = logging.getLogger(__name__)

_TRAPPING: dict[int, type[object]] = {TensorProto.INT32: np.int32, TensorProto.INT64: np.int64}
_MARKS = (b"\x22\x03Div", b"\x22\x03Mod")
"""How the two operators' names look among a node's bytes."""

_FIRST_OPSET = 7
"""Broadcasting came with it; older graphs are left as they are."""

_CAST_LIKE_OPSET = 15
"""Only from here on can a constant have a type that nobody tells."""

_PREFIX = "headrace_division_guard"


@contextmanager
def guarded(path: Path) -> Iterator[Path]:
    """Yield where the graph is to be read while inside: at its path, or in a changed copy beside it.

    Beside it, so that external data is found; and no longer than it is read. Raises OSError.
    """
    graph = guarded_graph(path)
    if graph is None:
        yield path
        return
    with _beside(path) as copy:
        copy.write(graph)
        copy.flush()
        yield Path(copy.name)


def _beside(path: Path) -> AbstractContextManager[IO[bytes]]:
    """A file in a graph's folder; where that takes none elsewhere, though no external data is there."""
    try:
        return tempfile.NamedTemporaryFile(dir=path.parent, prefix="guarded-", suffix=".onnx")
    except OSError:
        return tempfile.NamedTemporaryFile(prefix="guarded-", suffix=".onnx")


def guarded_graph(path: Path) -> bytes | None:
    """The graph at a path with its divisions guarded; None where none needs it. Raises OSError."""
    if not _names_division(path):
        return None
    try:
        model = onnx.load(path, load_external_data=False)
        if _divides_in_functions(model):
            model = _without_functions(model)
        guard = _Guard(model, path)
        guard.change(model.graph, element_types(model.graph, guard.opsets))
        return bytes(model.SerializeToString()) if guard.changed else None
    except (DecodeError, EncodeError, onnx.checker.ValidationError) as error:
        logger.info("divisions are not guarded: %s", error)
        return None  # ONNX Runtime says what is wrong with it


def _names_division(path: Path) -> bool:
    """Return whether the file names one of the operators: most do not, and need not be parsed."""
    if not path.is_file() or not path.stat().st_size:
        return False  # ONNX Runtime says what is wrong with it
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(mark) >= 0 for mark in _MARKS)


class _Guard:
    """Finds the divisions of one model that may trap, and changes them."""

    def __init__(self, model: ModelProto, path: Path) -> None:
        self._model = model
        self._path = path
        self._harmless = set(_harmless_constants(model.graph))
        self.opsets = _opsets(model.opset_import)
        self.changed = 0

    def change(self, graph: GraphProto, types: Types) -> None:
        """Guard the divisions of a graph and of the graphs in its nodes."""
        if self.opsets.get("", 0) < _FIRST_OPSET:
            return
        nodes = list(graph.node)
        types = self._asked(nodes, types) if graph is self._model.graph else types
        del graph.node[:]
        for node in nodes:
            for inner in graphs_in(node):
                self.change(inner, types_inside(node, inner, self.opsets, types))
            graph.node.extend(self._guarded(node, types) if self._may_trap(node, types) else [node])

    def _is_open(self, node: NodeProto) -> bool:
        """Return whether it is a division by something that is not known to be other than -1."""
        return _divides(node) and node.input[1] not in self._harmless

    def _asked(self, nodes: Iterable[NodeProto], types: Types) -> Types:
        """The types, with those that only ONNX Runtime can tell."""
        names = [
            node.input[1] for node in nodes if self._is_open(node) and not _type_of(node, types)
        ]
        found = types_by_runtime(self._model, self._path, names) if names else {}
        types.update(found)
        return types

    def _may_trap(self, node: NodeProto, types: Types) -> bool:
        if not self._is_open(node):
            return False
        kind = _type_of(node, types)
        return kind in _TRAPPING or (kind == UNKNOWN and self.opsets.get("", 0) >= _CAST_LIKE_OPSET)

    def _guarded(self, node: NodeProto, types: Types) -> Iterator[NodeProto]:
        """The nodes that take its place: both it divides by and its result are turned where that is -1.

        Turned by a factor of -1, and else of 1, which leaves every bit of all other numbers.
        """
        self.changed += 1
        name = f"{_PREFIX}_{self.changed}"
        dtype = _TRAPPING.get(_type_of(node, types))
        divisor, result = node.input[1], node.output[0]
        yield from _constants(name, dtype, divisor)
        yield helper.make_node("Equal", [divisor, f"{name}_minus_one"], [f"{name}_equal"])
        if dtype is None:  # the largest number without a sign equals -1, too
            yield helper.make_node("Less", [divisor, f"{name}_zero"], [f"{name}_less"])
            yield helper.make_node("And", [f"{name}_equal", f"{name}_less"], [f"{name}_is"])
            yield helper.make_node("CastLike", [f"{name}_is", divisor], [f"{name}_number"])
        else:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            yield helper.make_node("Cast", [f"{name}_equal"], [f"{name}_number"], to=kind)
        number, twice, factor = f"{name}_number", f"{name}_twice", f"{name}_factor"
        yield helper.make_node("Add", [number, number], [twice])
        yield helper.make_node("Sub", [f"{name}_one", twice], [factor])
        yield helper.make_node("Mul", [divisor, factor], [f"{name}_safe"])
        node.input[1] = f"{name}_safe"
        if node.op_type == "Div":
            node.output[0] = f"{name}_quotient"
        yield node
        if node.op_type == "Div":
            yield helper.make_node("Mul", [f"{name}_quotient", factor], [result])


def _constants(name: str, dtype: type[object] | None, divisor: str) -> Iterator[NodeProto]:
    """1 and -1, and 0 where the divisor's type is not known; of that type."""
    values = {"one": 1, "minus_one": -1} | ({"zero": 0} if dtype is None else {})
    for suffix, value in values.items():
        constant = numpy_helper.from_array(np.array(value, dtype or np.int64))
        given = f"{name}_{suffix}" if dtype else f"{name}_{suffix}_given"
        yield helper.make_node("Constant", [], [given], value=constant)
        if dtype is None:
            yield helper.make_node("CastLike", [given, divisor], [f"{name}_{suffix}"])


def _divides(node: NodeProto) -> bool:
    """Return whether it is a division of ONNX's that traps: not C's remainder, nor another's operator."""
    if node.domain not in ONNX_DOMAINS or len(node.input) != 2:
        return False
    like_c = any(each.name == "fmod" and each.i for each in node.attribute)
    return node.op_type == "Div" or (node.op_type == "Mod" and not like_c)


def _type_of(node: NodeProto, types: Types) -> int:
    known = (types.get(name, UNKNOWN) for name in (*node.input, *node.output))
    return next(filter(None, known), UNKNOWN)


def _opsets(imports: Iterable[OperatorSetIdProto]) -> dict[str, int]:
    return {"" if each.domain in ONNX_DOMAINS else each.domain: each.version for each in imports}


def _divides_in_functions(model: ModelProto) -> bool:
    return any(_divides(node) for function in model.functions for node in _nodes(function))


def _without_functions(model: ModelProto) -> ModelProto:
    """The model with its functions' nodes in place of their calls; weights are no part of that."""
    weights = list(model.graph.initializer)
    del model.graph.initializer[:]
    try:
        model = inliner.inline_local_functions(model)
    finally:
        model.graph.initializer.extend(weights)
    return model


def _harmless_constants(graph: GraphProto) -> Iterator[str]:
    """The constants of a graph, not those of graphs in it, that are known to have no -1."""
    given = {value.name for value in graph.input}  # a caller may send these instead
    constants = [(each.name, each) for each in graph.initializer if each.name not in given]
    for node in graph.node:
        if node.op_type == "Constant":
            constants += [
                (node.output[0], each.t) for each in node.attribute if each.name == "value"
            ]
    for name, tensor in constants:
        if tensor.data_type not in _TRAPPING or _has_no_minus_one(tensor):
            yield name


def _has_no_minus_one(tensor: TensorProto) -> bool:
    if tensor.data_location == TensorProto.EXTERNAL:  # not looked at: it may be large
        return False
    return not (numpy_helper.to_array(tensor) == -1).any()


def _nodes(graph: GraphProto | FunctionProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for inner in graphs_in(node):
            yield from _nodes(inner)
