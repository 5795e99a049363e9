"""Proof that row i of every output of a graph depends on row i of its inputs alone, or why there is none.

For requests whose inputs have equal sizes but for the first: joined along axis 0 they give, joined along
axis 0, what they give alone. An abstract interpretation with a rule for each operator: what has none, or
is not followed, is not proven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace_registry.adapters.batch_invariance import preparation
from headrace_registry.adapters.batch_invariance.counted_rows import (
    find_counted_output,
)
from headrace_registry.adapters.batch_invariance.interpreter import Scope
from headrace_registry.adapters.batch_invariance.nodes import Surroundings
from headrace_registry.adapters.batch_invariance.sizes import BATCH, Size, quotient
from headrace_registry.adapters.batch_invariance.values import (
    ROWS,
    UNPROVEN,
    Shape,
    Value,
    rows,
)
from headrace_registry.domain.decisions.default_config import BatchInvariance

if TYPE_CHECKING:
    from onnx import ModelProto


def analyse(model: ModelProto) -> BatchInvariance:
    """Look for a proof. Only sizes and small constants of the model are read."""
    model = preparation.lightened(model)
    try:
        shapes = preparation.name_free_dimensions(model.graph)
    except ValueError as error:
        return BatchInvariance(str(error))
    preparation.forget_shapes(model.graph)
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    surroundings = Surroundings(opsets, preparation.inferred_shapes(model))
    scope = Scope(surroundings, {name: rows(shape, 0) for name, shape in shapes.items()})
    values = scope.run(model.graph)
    names = [info.name for info in model.graph.output]
    impossible = find_counted_output(model.graph, surroundings.inferred)
    for name, value in zip(names, values, strict=True):
        told = value.shape or surroundings.inferred.get(name)
        impossible = impossible or _other_rows(name, told)
    pairs = zip(names, values, strict=True)
    obstacles = (_obstacle(name, value) for name, value in pairs)
    return BatchInvariance(next(filter(None, obstacles), ""), impossible)


def _obstacle(name: str, value: Value) -> str:
    """Return why an output is not known to hold row i at place i, or nothing."""
    if value.kind is UNPROVEN:
        return value.reason
    name = name[:80]
    if value.kind is not ROWS:
        return f"output {name!r} is the same for all rows"
    if value.row_number:
        return f"output {name!r} depends on the position of a row among the others"
    if value.padding is not None:
        return f"output {name!r} is as wide as the longest of its rows"
    if value.axis != 0:
        return f"output {name!r} has its rows on axis {value.axis}"
    if value.row_size != BATCH:
        return (
            f"output {name!r} has {quotient(value.row_size, BATCH)} rows for each row that goes in"
        )
    return ""


def _other_rows(name: str, shape: Shape | None) -> str:
    """Return what is known for certain of an output's first dimension that is not the number of rows."""
    if not shape:
        return ""
    first: Size = shape[0]
    if isinstance(first, int):
        return f"output {name[:80]!r} has {first} rows whatever goes in"
    each = quotient(first, BATCH)
    if isinstance(each, int) and each != 1:
        return f"output {name[:80]!r} has {each} rows for each row that goes in"
    return ""
