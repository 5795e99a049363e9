"""Recurrent layers."""

from __future__ import annotations

from headrace_registry.adapters.batch_invariance.nodes import Node, Result, rule
from headrace_registry.adapters.batch_invariance.sizes import fresh
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    ROWS,
    NotProvenError,
    Value,
    rows,
)


@rule("RNN LSTM GRU")
def recurrent(node: Node) -> Result:
    x, rows_first = node.rows_at(0), bool(node.attribute("layout", 0))
    if x.rank != 3 or x.axis != (0 if rows_first else 1):
        raise NotProvenError("has a batch axis that does not hold the rows")
    state_axis = 0 if rows_first else 1
    axes = {4: 0, 5: state_axis, **({6: state_axis} if node.operator == "LSTM" else {})}
    for index, value in enumerate(node.inputs[1:], 1):
        if value is not None:
            _check(value, index, axes.get(index), x)
    return _outputs(node, x, rows_first=rows_first)


def _check(value: Value, index: int, axis: int | None, x: Value) -> None:
    """A weight is a constant; lengths and states hold the same rows as the input."""
    if axis is None:
        if value.kind is not CONSTANT:
            raise NotProvenError(f"has an input {index} that depends on the batch")
    elif value.kind is not ROWS or value.axis != axis or value.row_size != x.row_size:
        raise NotProvenError(f"has an input {index} that does not hold the same rows")


def _outputs(node: Node, x: Value, *, rows_first: bool) -> list[Value]:
    count, length = x.row_size, x.known_shape[1 - x.axis]
    directions = 2 if node.attribute("direction", "forward") == "bidirectional" else 1
    hidden = node.attribute("hidden_size") or fresh()
    if rows_first:
        all_steps = rows([count, length, directions, hidden], 0)
        last = rows([count, directions, hidden], 0)
    else:
        all_steps = rows([length, directions, count, hidden], 2)
        last = rows([directions, count, hidden], 1)
    return [all_steps, last, last][: node.output_count]
