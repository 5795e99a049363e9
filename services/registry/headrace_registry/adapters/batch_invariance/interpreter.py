"""Abstract interpretation of a graph: each tensor's value out of its node's rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace_registry.adapters.batch_invariance import constant_folding
from headrace_registry.adapters.batch_invariance.nodes import (
    CLASSICAL,
    MICROSOFT,
    RULES,
    SHAPE_RULES,
    Node,
    Rule,
    Surroundings,
    domain_of,
)
from headrace_registry.adapters.batch_invariance.rules import (
    NEVER_CONSTANT,
    elementwise,
    indexing,
    texts,
)
from headrace_registry.adapters.batch_invariance.sizes import depends_on_batch, is_unknown
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    INDEX,
    MAX_ELEMENTS,
    POSITION,
    ROWS,
    UNPROVEN,
    NotProvenError,
    Value,
    broadcast_shape,
    constant,
    known,
    unproven,
)

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

_FAILURES = (
    IndexError,
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    ArithmeticError,
)
"""What a rule raises on a node that is not as the specification says: nothing is proven of it then."""

_MAX_NAME = 80
_WIDTH = "uses texts that are filled up to the length of the longest"


class Scope:
    """A graph's tensors, with those of the graphs around it."""

    def __init__(
        self,
        surroundings: Surroundings,
        values: Mapping[str, Value],
        outer: Scope | None = None,
    ) -> None:
        self._surroundings = surroundings
        self._values = dict(values)
        self._outer = outer

    def run(self, graph: GraphProto) -> list[Value]:
        """The values of the graph's outputs."""
        for tensor in graph.initializer:
            self._values.setdefault(tensor.name, _of_tensor(tensor))
        for sparse in graph.sparse_initializer:
            self._values[sparse.values.name] = constant(tuple(sparse.dims))
        waiting = list(graph.node)
        while waiting:  # ONNX Runtime takes nodes in any order
            left = [node for node in waiting if not self._visit(node)]
            if len(left) == len(waiting):
                break
            waiting = left
        return [self.find(output.name) for output in graph.output]

    def _visit(self, proto: NodeProto) -> bool:
        if self._outer is None and not all(not name or self.has(name) for name in proto.input):
            return False
        for name, value in zip(proto.output, self._results(proto), strict=False):
            if name:
                self._values[name] = self._refined(name, value)
        return True

    def has(self, name: str) -> bool:
        """Return whether the tensor's value is known, here or around."""
        return name in self._values or (self._outer is not None and self._outer.has(name))

    def find(self, name: str) -> Value:
        """The tensor's value; nothing is proven of one that nothing gives."""
        if name in self._values:
            return self._values[name]
        if self._outer is None:
            return unproven(f"nothing gives tensor {name[:_MAX_NAME]!r}")
        return self._outer.find(name)

    def _refined(self, name: str, value: Value) -> Value:
        """With sizes that ONNX's own inference found, where a rule said nothing."""
        told = self._surroundings.inferred.get(name)
        if value.kind not in (CONSTANT, ROWS) or told is None or value.data is not None:
            return value
        if value.shape is None:
            is_fixed = value.kind is CONSTANT and not any(map(depends_on_batch, told))
            return constant(told) if is_fixed else value
        if len(told) != len(value.shape):
            return value
        pairs = enumerate(zip(value.shape, told, strict=True))
        shape = tuple(
            new if is_unknown(old) and not depends_on_batch(new) and i != value.axis else old
            for i, (old, new) in pairs
        )
        return replace(value, shape=shape)

    def _results(self, proto: NodeProto) -> list[Value]:
        inputs = [self.find(name) if name else None for name in proto.input]
        count = len(proto.output)
        blamed = next((v for v in inputs if v is not None and v.kind is UNPROVEN), None)
        if blamed is not None:
            return [blamed] * count
        node = Node(self._surroundings, proto, inputs, self._run_body)
        try:
            return _as_list(_evaluated(node), count)
        except NotProvenError as error:
            return [unproven(f"{described(proto)} {error}")] * count
        except _FAILURES as error:
            text = f"{described(proto)} is not understood ({type(error).__name__}: {error})"
            return [unproven(text[:300])] * count

    def _run_body(self, graph: GraphProto, values: dict[str, Value]) -> list[Value]:
        found = Scope(self._surroundings, values, self).run(graph)
        if any(value.row_number for value in found):
            raise NotProvenError("uses the position of a row among the others")
        if any(value.padding is not None for value in found):
            raise NotProvenError(_WIDTH)
        return found


def described(proto: NodeProto) -> str:
    """A node as messages name it."""
    domain = domain_of(proto)
    operator = f"{domain}.{proto.op_type}" if domain else proto.op_type
    return f"node {(proto.name or proto.output[0])[:_MAX_NAME]!r} ({operator[:_MAX_NAME]})"


def _as_list(result: Value | list[Value], count: int) -> list[Value]:
    return result if isinstance(result, list) else [result] * count


def _of_tensor(tensor: TensorProto) -> Value:
    data = constant_folding.literal(tensor)
    return constant(tuple(tensor.dims)) if data is None else known(data)


def _evaluated(node: Node) -> Value | list[Value]:
    if any(value is not None and value.padding is not None for value in node.inputs):
        return _of_padded(node)
    if node.domain == "" and constant_folding.can_fold(node.operator):
        data = constant_folding.fold(node)
        if data is not None and data.size <= MAX_ELEMENTS:
            return known(data)
    function = RULES.get((node.domain, node.operator))
    if _gives_constants(node):
        return _of_constants(node, function)
    if function is None:
        raise NotProvenError("has no rule that says how it treats rows")
    return _with_row_numbers(node, function)


def _of_padded(node: Node) -> Value | list[Value]:
    """What few rules make of texts that are filled up; even their shape depends on all rows."""
    function = texts.PADDED_RULES.get((node.domain, node.operator))
    if function is None:
        raise NotProvenError(_WIDTH)
    return function(node)


def _gives_constants(node: Node) -> bool:
    """Return whether all that the node reads is the same for every batch, and so is all that it gives."""
    has_graph = any(a.HasField("g") or a.graphs for a in node.proto.attribute)
    known_domain = node.domain in ("", CLASSICAL, MICROSOFT)
    is_plain = (node.domain, node.operator) not in NEVER_CONSTANT
    return node.all_constant and known_domain and is_plain and not has_graph


def _of_constants(node: Node, function: Rule | None) -> Value | list[Value]:
    """Constants, with their shapes where a rule tells them."""
    try:
        if function is elementwise.elementwise:
            return constant(broadcast_shape([v for v in node.inputs if v is not None]))
        if function in SHAPE_RULES:
            found = _as_list(function(node), node.output_count)
            # The elements are other ones than those of what the rule was given.
            return [constant(v.shape) if v.kind is CONSTANT else v for v in found]
    except (NotProvenError, *_FAILURES):
        pass
    return constant()


def _with_row_numbers(node: Node, function: Rule) -> Value | list[Value]:
    """The rule's result; where an input holds the numbers of rows, as far as that is followed."""
    numbers = [v.row_number for v in node.inputs if v is not None and v.row_number]
    if not numbers or function is indexing.gather_nd:
        return function(node)
    if numbers[0] == INDEX and node.operator in ("Unsqueeze", "Expand", "Identity", "Cast"):
        return _numbered(function(node), INDEX)
    if node.operator == "Concat" and numbers == [INDEX]:
        column = _column(node)
        if column is not None:
            return _numbered(function(node), ("column", column))
    if function is elementwise.elementwise:
        return _numbered(function(node), POSITION)
    raise NotProvenError("uses the position of a row among the others")


def _numbered(result: Value | list[Value], number: Any) -> Value:
    assert isinstance(result, Value)
    return replace(result, row_number=number)


def _column(node: Node) -> int | None:
    """Return where in the last axis a Concat puts the rows' numbers, if those before are one wide."""
    values = [value for value in node.inputs if value is not None]
    place = next(i for i, value in enumerate(values) if value.row_number)
    is_last = node.attribute("axis") in (-1, values[0].rank - 1)
    narrow = all(value.known_shape[-1] == 1 for value in values[: place + 1])
    return place if is_last and narrow else None
