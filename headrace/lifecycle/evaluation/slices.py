"""Parts of rows, by the values of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from headrace.errors import InvalidArgument
from headrace.lifecycle.evaluation.data import one_line
from headrace.lifecycle.evaluation.measures.measure import Floats, Places
from headrace.lifecycle.evaluation.tasks import impossible, listed
from headrace.lifecycle.tables.rows import Array, Rows, numbers_of

MOST_VALUES = 20
"""Of a column: the most frequent ones; numbers with more than that are cut at their quartiles."""


def slices_of(rows: Rows, columns: Sequence[str]) -> tuple[dict[str, Places], tuple[str, ...]]:
    """The rows of each slice by its name, `column=value`, and what was left out.

    Raises InvalidArgument (EVALUATION_IMPOSSIBLE) for a column that is not there.
    """
    found: dict[str, Places] = {}
    notes: list[str] = []
    for name in columns:
        if name not in rows.columns:
            raise impossible(
                f"there is no column {name!r} to slice by; there are {listed(rows.columns)}"
            )
        parts = _parts(rows.columns[name])
        order = sorted(parts, key=lambda value: (-len(parts[value]), value))[:MOST_VALUES]
        if len(parts) > MOST_VALUES:
            notes.append(
                f"{name!r} has {len(parts)} values: the {MOST_VALUES} most frequent are slices"
            )
        kept = order if len(parts) > MOST_VALUES else parts
        found |= {one_line(f"{name}={value}"): parts[value] for value in kept}
    return found, tuple(notes)


def _parts(column: Array) -> dict[str, Places]:
    texts = np.array([_text(value) for value in column.tolist()])
    values, codes = np.unique(texts, return_inverse=True)
    if len(values) > MOST_VALUES and (numbers := _numbers(column)) is not None:
        return _quartiles(numbers)
    return {str(value): np.flatnonzero(codes == place) for place, value in enumerate(values)}


def _quartiles(numbers: Floats) -> dict[str, Places]:
    """Four parts of about as many rows each, and those without a value."""
    known = np.isfinite(numbers)
    edges = np.unique(np.quantile(numbers[known], (0.25, 0.5, 0.75)))
    codes = np.searchsorted(edges, numbers, side="left")
    names = [f"up to {edges[0]:.4g}"]
    names += [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    names.append(f"over {edges[-1]:.4g}")
    parts = {name: np.flatnonzero(known & (codes == n)) for n, name in enumerate(names)}
    parts["(none)"] = np.flatnonzero(~known)
    return {name: places for name, places in parts.items() if len(places)}


def _numbers(column: Array) -> Floats | None:
    try:
        return numbers_of(column, "a slice").reshape(-1)
    except InvalidArgument:
        return None


def _text(value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return "(none)"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
