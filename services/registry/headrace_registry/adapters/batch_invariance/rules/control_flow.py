"""Branches and loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace_registry.adapters.batch_invariance.nodes import Node, Result, rule
from headrace_registry.adapters.batch_invariance.sizes import Polynomial, fresh, is_unknown
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    ROWS,
    SIZE,
    UNPROVEN,
    NotProvenError,
    Value,
    constant,
    rows,
)

if TYPE_CHECKING:
    from onnx import GraphProto

_ROUNDS = 3
_NOT_ALIKE = "gives values that hold the rows in one case only, or on another axis"
_COUNTED = "runs as often as the rows say"


@rule("If")
def if_(node: Node) -> Result:
    condition = node.given(0)
    if condition.kind is not CONSTANT:
        raise NotProvenError("takes the branch that the rows say")
    names = ["then_branch", "else_branch"]
    if condition.data is not None and not isinstance(condition.data.ravel()[0], Polynomial):
        names = names[:1] if bool(condition.data.ravel()[0]) else names[1:]
    found = [node.run_body(node.attributes[name].g, {}) for name in names]
    return [_joined(*values) for values in zip(*found, strict=True)]


def _joined(a: Value, b: Value | None = None) -> Value:
    """A value that is one of these. Raises NotProvenError where they treat rows in different ways."""
    if b is None or a is b:
        return a
    for value in (a, b):
        if value.kind is UNPROVEN:
            return value
    is_other = a.kind is not b.kind or a.kind is SIZE or a.axis != b.axis
    if is_other or (a.kind is ROWS and (a.row_size != b.row_size or a.rank != b.rank)):
        raise NotProvenError(_NOT_ALIKE)
    if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
        return constant()
    pairs = zip(a.shape, b.shape, strict=True)
    return Value(a.kind, tuple(x if x == y else fresh() for x, y in pairs), a.axis)


def _general(value: Value) -> Value:
    """The value as a loop's state: its elements change from turn to turn."""
    if value.kind is SIZE:
        raise NotProvenError("keeps the number of rows in its state")
    return value if value.kind in (ROWS, UNPROVEN) else constant(value.shape)


def _after(state: list[Value], found: list[Value]) -> list[Value]:
    return [_joined(old, _general(new)) for old, new in zip(state, found, strict=False)]


@rule("Loop")
def loop(node: Node) -> Result:
    graph = node.attributes["body"].g
    if any(v is not None and v.kind is not CONSTANT for v in node.inputs[:2]):
        raise NotProvenError(_COUNTED)
    state = [_general(node.given(i)) for i in range(2, len(node.inputs))]
    for _ in range(_ROUNDS):
        found = _turn(node, graph, state)
        after = _after(state, found)
        blamed = next((value for value in after if value.kind is UNPROVEN), None)
        if blamed is not None:
            return [blamed] * node.output_count
        if _is_settled(state, after):
            return [*after, *map(_stacked, found[len(state) :])]
        state = after
    raise NotProvenError("has a state whose shape does not settle")


def _turn(node: Node, graph: GraphProto, state: list[Value]) -> list[Value]:
    """Return what the body gives after its condition, which must be a constant."""
    names = [value.name for value in graph.input]
    values = [constant(()), constant(()), *state]
    condition, *found = node.run_body(graph, dict(zip(names, values, strict=True)))
    if condition.kind is UNPROVEN:
        return [condition] * len(found)
    if condition.kind is not CONSTANT:
        raise NotProvenError(_COUNTED)
    return found


def _is_settled(before: list[Value], after: list[Value]) -> bool:
    return all(map(_is_covered, after, before))


def _is_covered(new: Value, old: Value) -> bool:
    """Return whether what holds for the old value holds for the new one."""
    if new.kind is not old.kind or new.axis != old.axis:
        return False
    if old.shape is None:
        return True
    if new.shape is None or len(new.shape) != len(old.shape):
        return False
    return all(x == y or is_unknown(y) for x, y in zip(new.shape, old.shape, strict=True))


def _stacked(value: Value) -> Value:
    """The turns' values, one after the other on a new first axis."""
    if value.kind is ROWS:
        return rows([fresh(), *value.known_shape], value.axis + 1)
    if value.kind is CONSTANT:
        return constant(None if value.shape is None else (fresh(), *value.shape))
    return value


@rule("Scan")
def scan(node: Node) -> Result:
    if node.opset < 9 or any(node.attribute("scan_output_axes") or []):
        raise NotProvenError("has a form that is not followed")
    graph, count = node.attributes["body"].g, node.attribute("num_scan_inputs")
    first = len(node.inputs) - count
    axes = node.attribute("scan_input_axes") or [0] * count
    taken = [_one_turn(node.given(first + i), axis) for i, axis in enumerate(axes)]
    state = [_general(node.given(i)) for i in range(first)]
    names = [value.name for value in graph.input]
    found = node.run_body(graph, dict(zip(names, [*state, *taken], strict=True)))
    after = _after(state, found)
    if not _is_settled(state, after):
        raise NotProvenError("has a state whose shape changes")
    return [*after, *map(_stacked, found[len(state) :])]


def _one_turn(value: Value, axis: int) -> Value:
    """The value without the axis that is scanned. Raises NotProvenError where that holds the rows."""
    axis %= value.rank
    if value.kind is ROWS and value.axis == axis:
        raise NotProvenError("goes through the rows one after the other")
    if value.kind is SIZE:
        raise NotProvenError("uses the number of rows as a value")
    shape = value.known_shape[:axis] + value.known_shape[axis + 1 :]
    return rows(shape, value.axis - (value.axis > axis)) if value.kind is ROWS else constant(shape)
