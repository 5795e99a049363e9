"""Counts how many rows are alike in columns that may identify: the k of k-anonymity (Sweeney, 2002)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.lifecycle.tables.rows import Rows, invalid


@dataclass(frozen=True, slots=True)
class GroupSizes:
    """Rows in groups of equal values: `smallest` is k, `rows_below` are in groups smaller than `wanted`."""

    columns: tuple[str, ...]
    groups: int
    smallest: int
    wanted: int
    rows_below: int


def group_sizes(chunks: Iterable[Rows], columns: Sequence[str], wanted: int) -> GroupSizes:
    """Count the groups over all pieces. Raises InvalidArgument (ROWS_INVALID) for an unknown column.

    It keeps each combination of values that there is.
    """
    counted: Counter[tuple[str, ...]] = Counter()
    for rows in chunks:
        unknown = next((name for name in columns if name not in rows.columns), None)
        if unknown is not None:
            raise invalid(f"there is no column {unknown!r} among {', '.join(rows.columns)}")
        values = [map(str, rows.columns[name].tolist()) for name in columns]
        counted.update(zip(*values, strict=True))
    sizes = counted.values()
    below = sum(size for size in sizes if size < wanted)
    return GroupSizes(tuple(columns), len(counted), min(sizes, default=0), wanted, below)
