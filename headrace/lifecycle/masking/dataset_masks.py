"""Rules for the columns of a data set: what is masked in all texts, and what of single columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headrace.lifecycle.masking.coarsening import FORMS, Coarsen, coarsening
from headrace.lifecycle.tables.rows import Array, Rows, invalid
from headrace.masking.masks import Action, FieldKinds, Masks, masks_of

_COLUMNS = FieldKinds(("column",))
_DIGITS_OF_CARDS = 10**11
"""Smaller numbers are none that a pattern looks for."""


@dataclass(slots=True)
class ColumnCounts:
    """How many values of a column were changed, of how many."""

    values: int = 0
    changed: int = 0


@dataclass(slots=True)
class DatasetMasks:
    """The rules, and what they did so far."""

    masks: Masks
    coarse: Mapping[str, Coarsen]
    dropped: frozenset[str]
    counts: dict[str, ColumnCounts] = field(default_factory=dict)

    def kept(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns that stay. Raises InvalidArgument (ROWS_INVALID) where a rule names another."""
        named = [
            *self.dropped,
            *self.coarse,
            *(name.partition(":")[2] for name in self.masks.fields),
        ]
        unknown = next((name for name in named if name not in columns), None)
        if unknown is not None:
            raise invalid(f"there is no column {unknown!r} to mask; there are {', '.join(columns)}")
        return tuple(name for name in columns if name not in self.dropped)

    def apply(self, rows: Rows) -> Rows:
        """The rows as they may be given away. Raises InvalidArgument (ROWS_INVALID)."""
        kept = {
            name: self._column(name, column, rows.start)
            for name, column in rows.columns.items()
            if name not in self.dropped
        }
        return Rows(rows.start, kept)

    def _column(self, name: str, column: Array, start: int) -> Array:
        counts = self.counts.setdefault(name, ColumnCounts())
        counts.values += len(column)
        coarse = self.coarse.get(name)
        if coarse is not None:
            return self._coarsened(name, column, start, coarse)
        if not self._may_match(name, column):
            return column
        masked: Array = np.empty(len(column), dtype=object)
        for place, value in enumerate(column.tolist()):
            masked[place], changed = self._masked(value, f"column:{name}")
            counts.changed += changed
        return masked

    def _may_match(self, name: str, column: Array) -> bool:
        """Numbers are looked into where they are long enough for one that identifies."""
        if f"column:{name}" in self.masks.fields:
            return True
        if column.dtype.kind in "iu":
            return bool((np.abs(column) >= _DIGITS_OF_CARDS).any())
        return column.dtype == object and self.masks.look_into_texts

    def _masked(self, value: object, where: str) -> tuple[object, bool]:
        """The value, masked; lists within it too. Raises nothing: what it cannot read it leaves out."""
        if value is None:
            return None, False
        if isinstance(value, list | tuple):
            parts = [self._masked(each, where) for each in value]
            return [part for part, _ in parts], any(changed for _, changed in parts)
        if isinstance(value, dict):
            inner = {key: self._masked(each, where) for key, each in value.items()}
            changed = any(changed for _, changed in inner.values())
            return {key: part for key, (part, _) in inner.items()}, changed
        if isinstance(value, bool | float) and where not in self.masks.fields:
            return value, False
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        done = self.masks.apply(text, where)
        return (done.text, True) if done.changed else (value, False)

    def _coarsened(self, name: str, column: Array, start: int, coarse: Coarsen) -> Array:
        made: Array = np.empty(len(column), dtype=object)
        for place, value in enumerate(column.tolist()):
            try:
                made[place] = coarse(value)
            except ValueError as error:
                raise invalid(f"column {name!r}, row {start + place + 1}: {error}") from None
            self.counts[name].changed += made[place] != value
        return made


def dataset_masks(
    rules: Collection[str],
    patterns: Mapping[str, tuple[str, str]] | None = None,
    key: bytes = b"",
) -> DatasetMasks:
    """Read rules: `email`, `card=hash`; `column:NAME=mask|hash|drop`, or a coarser value (`round:5`, …).

    Patterns are looked for in all columns of texts. Raises ValueError for anything else.
    """
    coarse: dict[str, Coarsen] = {}
    dropped: set[str] = set()
    others = []
    for rule in rules:
        name, _, action = rule.rpartition("=")
        kind, _, column = name.partition(":")
        if kind != "column" or not column:
            others.append(rule)
            continue
        made = coarsening(action)
        if made is not None:
            coarse[column] = made
        elif action == Action.DROP:
            dropped.add(column)
        elif action in (Action.MASK, Action.HASH):
            others.append(rule)
        else:
            raise ValueError(f"{rule!r}: mask, hash, drop, {FORMS} is expected, not {action!r}")
    masks = masks_of(others, patterns, key, _COLUMNS) if others or patterns else Masks()
    return DatasetMasks(masks, coarse, frozenset(dropped))
