"""Compares the inputs of a run with what was learnt of their fields, all rows of a field at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.field_values import as_text
from headrace.data_profiles.layouts import FieldKind, FieldLayout, Place
from headrace.data_profiles.references import Enforcement, FieldSchema, Reference
from headrace.state.records import VersionRecord
from headrace_inference.domain.scheduling.requests import Array

_TOLD = 10
"""Categories that a refusal names."""

_OF_ONE_VALUE = (FieldKind.NUMBER, FieldKind.CATEGORY, FieldKind.TEXT)

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """A field of which something is enforced."""

    name: str
    column: int
    """Of the flattened row."""
    schema: FieldSchema
    rejects: bool
    """Whether requests are refused; they are flagged where not."""

    @property
    def forbids_missing(self) -> bool:
        """A value may be missing only where one was in what was learnt from."""
        return self.schema.missing_rate == 0

    def allowed(self) -> str:
        """Tell what is allowed."""
        schema = self.schema
        categories = schema.categories
        if categories is not None:
            more = f" and {len(categories) - _TOLD} more" if len(categories) > _TOLD else ""
            return "one of " + ", ".join(map(repr, categories[:_TOLD])) + more
        if schema.lowest is None and schema.highest is None:
            return "a value that is not missing"
        low, high = schema.lowest, schema.highest
        return (
            f"{'-inf' if low is None else f'{low:g}'} to {'inf' if high is None else f'{high:g}'}"
        )


class Violation(NamedTuple):
    """A value that is not as was learnt."""

    check: FieldCheck
    row: int
    """Of the run; the first of `rows` that differ."""
    value: str
    rows: int = 1


class SchemaChecks:
    """What is enforced of a version, ready to be compared with its inputs."""

    def __init__(
        self, by_input: Mapping[int, Sequence[FieldCheck]], rows_first: Collection[int] = ()
    ) -> None:
        """`rows_first` are the inputs that have a row for each step of their first dimension."""
        self._inputs = [
            _InputChecks(place, checks, rows_first=place in rows_first)
            for place, checks in sorted(by_input.items())
        ]

    def violations(
        self, inputs: Sequence[Array | None], first_rows: Sequence[int] = ()
    ) -> list[Violation]:
        """The values of a run that differ; none, mostly.

        With the first rows of its requests (and the end of the last one), one for each request and field:
        four million values that differ are none to list.
        """
        found: list[Violation] = []
        for checks in self._inputs:
            array = inputs[checks.place] if checks.place < len(inputs) else None
            if array is not None:
                found.extend(checks.violations(array, first_rows))
        return found


class _InputChecks:
    """The checks of one input."""

    def __init__(self, place: int, checks: Sequence[FieldCheck], *, rows_first: bool) -> None:
        checks = sorted(checks, key=lambda check: check.column)
        self.place = place
        self._rows_first = rows_first
        self._checks = checks
        self._columns = np.array([check.column for check in checks], np.intp)
        bounds = [(check.schema.lowest, check.schema.highest) for check in checks]
        self._low = np.array([-np.inf if low is None else low for low, _ in bounds])
        self._high = np.array([np.inf if high is None else high for _, high in bounds])
        self._forbids = np.array([check.forbids_missing for check in checks])
        self._numbers = [
            (at, numbers)
            for at, check in enumerate(checks)
            if (numbers := _numbers(check.schema.categories)) is not None
        ]
        self._texts = [_texts(check.schema.categories) for check in checks]

    def violations(self, array: Array, first_rows: Sequence[int]) -> Iterator[Violation]:
        if not array.size:
            return
        rows = array.reshape(len(array) if self._rows_first and array.ndim else 1, -1)
        if self._columns[-1] >= rows.shape[1]:  # of another shape than was learnt from
            return
        whole = rows.shape[1] == len(self._columns)
        values = rows if whole else rows[:, self._columns]
        flags = self._of_texts(values) if values.dtype.kind in "OUS" else self._of_numbers(values)
        if not flags.any():
            return
        if first_rows:
            yield from self._by_request(values, flags, first_rows)
            return
        for row, at in np.argwhere(flags).tolist():
            yield Violation(self._checks[at], row, _shown(values[row, at]))

    def _by_request(
        self, values: Array, flags: Flags, first_rows: Sequence[int]
    ) -> Iterator[Violation]:
        """Yield those of each request by their first rows; the last has all rows that there are."""
        ends = [*first_rows[1:-1], max(len(flags), first_rows[-1])]
        for start, end in zip(first_rows, ends, strict=False):
            part = flags[start:end]
            counts = part.sum(axis=0)
            firsts = [(start + int(part[:, at].argmax()), at) for at in np.flatnonzero(counts)]
            for row, at in sorted(firsts):
                shown = _shown(values[row, at])
                yield Violation(self._checks[at], row, shown, int(counts[at]))

    def _of_numbers(self, values: Array) -> Flags:
        """The values outside their ranges, and those of no category. NaN is inside of no range."""
        flags: Flags = ~((values >= self._low) & (values <= self._high))
        if values.dtype.kind not in "iub" and flags.any():
            missing = np.isnan(values)
            flags = np.where(missing, self._forbids, flags)
        for at, numbers in self._numbers:
            column = values[:, at].astype(np.float64)
            flags[:, at] |= ~np.isin(column, numbers) & ~np.isnan(column)
        return flags

    def _of_texts(self, values: Array) -> Flags:
        flags = np.zeros(values.shape, np.bool_)
        for at, texts in enumerate(self._texts):
            forbids = bool(self._forbids[at])
            flags[:, at] = [
                forbids if not text else texts is not None and text not in texts
                for text in map(as_text, values[:, at].tolist())
            ]
        return flags


def checks_of(
    reference: Reference, enforcement: Mapping[str, str], version: VersionRecord
) -> SchemaChecks | None:
    """The checks that a version's reference asks for; None where all is only counted."""
    signature = version.signature
    specs = (*signature.inputs, *signature.optional_inputs)
    places = {spec.name: place for place, spec in enumerate(specs)}
    by_input: dict[int, list[FieldCheck]] = {}
    for field, check in _enforced(reference.layout.fields, reference.schema, enforcement):
        if field.tensor in places:
            by_input.setdefault(places[field.tensor], []).append(check)
    if not by_input:
        return None
    batches = version.config.batching.max_batch_size > 0
    required = len(signature.inputs)
    return SchemaChecks(
        by_input,
        [
            place
            for place, spec in enumerate(specs)
            if (batches and place < required) or spec.shape[:1] in ((-1,), (1,))
        ],
    )


def _enforced(
    fields: Iterable[FieldLayout],
    schema: Mapping[str, FieldSchema],
    enforcement: Mapping[str, str],
) -> Iterator[tuple[FieldLayout, FieldCheck]]:
    for field in fields:
        word, learnt = enforcement.get(field.name), schema.get(field.name)
        if learnt is None or field.place is not Place.INPUT or field.kind not in _OF_ONE_VALUE:
            continue
        if word in (Enforcement.FLAG, Enforcement.REJECT):
            column = max(field.column, 0)
            yield field, FieldCheck(field.name, column, learnt, word == Enforcement.REJECT)


def _numbers(categories: Sequence[str] | None) -> npt.NDArray[np.float64] | None:
    """The categories as numbers; None where they are none, or texts."""
    if categories is None:
        return None
    try:
        return np.array([float(category) for category in categories])
    except ValueError:
        return None


def _texts(categories: Sequence[str] | None) -> frozenset[str] | None:
    return None if categories is None else frozenset(categories)


def _shown(value: object) -> str:
    """A value as a refusal tells it."""
    if isinstance(value, (bytes, str)):
        text = as_text(value)
        return repr(text if len(text) <= 64 else text[:64] + "…") if text else "missing"
    number = float(value)  # type: ignore[arg-type]  # it is a number of some kind
    return "missing" if np.isnan(number) else f"{number:g}"
