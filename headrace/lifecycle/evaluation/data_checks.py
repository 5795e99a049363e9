"""Looks at data before it is believed: what is missing, repeated, constant, or gives the target away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.evaluation.targets import is_missing
from headrace.lifecycle.tables.rows import Array, Rows

_FEWEST_ROWS = 100
_RARE_SHARE = 0.1
_MOST_CLASSES = 100
_LISTED = 5
_MOST_ROWS = 100_000
"""So many of the first rows are compared with one another, and with the target."""


@dataclass(frozen=True, slots=True)
class DataChecks:
    """Facts about the rows of an evaluation, and what to think of before its figures are used."""

    rows: int
    missing_targets: int
    """Rows without a truth: they are left out."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """Missing values by column, of columns that have some."""
    duplicates: int = 0
    """Rows that are equal to an earlier one, target included."""
    constant: tuple[str, ...] = ()
    """Columns that have the same value in all rows."""
    same_as_target: tuple[str, ...] = ()
    """Columns that equal the target, or tell it value by value."""
    balance: Mapping[str, int] = field(default_factory=dict)
    """Rows by true class, the most frequent first; empty for numbers."""
    warnings: tuple[str, ...] = ()


def check_data(
    rows: Rows, target: str, known: npt.NDArray[np.bool_], classes: Array | None = None
) -> DataChecks:
    """Look at rows. `known` says which have a truth; `classes` are the true classes of those.

    Whether rows repeat, and whether columns tell the target, is looked at in the first 100,000.
    """
    columns = {name: column for name, column in rows.columns.items() if column.ndim == 1}
    inputs = {name: column for name, column in columns.items() if name != target}
    missing = {name: count for name in columns if (count := _missing(columns[name]))}
    constant = tuple(name for name, column in inputs.items() if _is_constant(column))
    same = tuple(
        name
        for name, column in inputs.items()
        if name not in constant
        and target in columns
        and _tells(column[:_MOST_ROWS], columns[target][:_MOST_ROWS])
    )
    found = DataChecks(
        len(rows),
        int((~known).sum()),
        missing,
        _duplicates(columns) if len(columns) == len(rows.columns) else 0,
        constant,
        same,
        _balance(classes),
    )
    return _with_warnings(found)


def _with_warnings(found: DataChecks) -> DataChecks:
    from dataclasses import replace

    return replace(found, warnings=tuple(_warnings(found)))


def _warnings(found: DataChecks) -> list[str]:
    said = []
    known = found.rows - found.missing_targets
    if found.missing_targets:
        said.append(
            f"{found.missing_targets} of {found.rows} rows have no target, and are left out"
        )
    if known < _FEWEST_ROWS:
        said.append(f"{known} rows are few: intervals are wide, and a few rows decide")
    if found.duplicates:
        said.append(
            f"{found.duplicates} rows repeat an earlier one: if some were trained on, figures are too good"
        )
    if found.same_as_target:
        said.append(f"{_listed(found.same_as_target)} tells the target: no input may know it")
    if found.constant:
        said.append(f"{_listed(found.constant)} has one value in all rows")
    rarest = min(found.balance.values(), default=0)
    if len(found.balance) > 1 and rarest < known * _RARE_SHARE / (len(found.balance) / 2):
        name = min(found.balance, key=lambda each: found.balance[each])
        said.append(
            f"class {name!r:.60} has {rarest} of {known} rows: accuracy says little of it, "
            "look at its recall and precision"
        )
    if found.balance and len(found.balance) < 2:
        said.append("all rows have the same true class: nothing can be told apart")
    return said


def _missing(column: Array) -> int:
    if column.dtype.kind == "f":
        return int(np.isnan(column).sum())
    if column.dtype.kind != "O":
        return 0
    return sum(is_missing(value) for value in column.tolist())


def _is_constant(column: Array) -> bool:
    first = column[0]
    return len(column) > 1 and all(value == first for value in column[1:].tolist())


def _tells(column: Array, target: Array) -> bool:
    """Return whether each value of a column goes with one of the target, and the other way round.

    What is different in most rows, such as an id, tells nothing.
    """
    pairs = {(str(a), str(b)) for a, b in zip(column.tolist(), target.tolist(), strict=True)}
    here, there = {a for a, _ in pairs}, {b for _, b in pairs}
    is_repeated = len(here) <= len(column) / 2 or _is_equal(column, target)
    return is_repeated and len(there) > 1 and len(pairs) == len(here) == len(there)


def _is_equal(column: Array, target: Array) -> bool:
    return all(str(a) == str(b) for a, b in zip(column.tolist(), target.tolist(), strict=True))


def _duplicates(columns: Mapping[str, Array]) -> int:
    some = [column[:_MOST_ROWS].tolist() for column in columns.values()]
    rows = [tuple(map(str, row)) for row in zip(*some, strict=True)]
    return len(rows) - len(set(rows))


def _balance(classes: Array | None) -> dict[str, int]:
    if classes is None:
        return {}
    names, counts = np.unique(classes.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_CLASSES]
    return {str(names[place]): int(counts[place]) for place in order}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:_LISTED])
    return f"column {shown}" + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
