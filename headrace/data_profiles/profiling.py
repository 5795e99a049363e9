"""Profiles rows of a version: finds the bins of many rows at once, and counts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.binning import Places, bin_count, places_of
from headrace.data_profiles.field_values import rows_of, values_of
from headrace.data_profiles.float_bits import MISSING, float_bit_places
from headrace.data_profiles.layouts import (
    VALUE,
    BinKind,
    Bins,
    FieldKind,
    FieldLayout,
    Layout,
    Place,
)
from headrace.data_profiles.profiles import AspectKey, Counts, Profile

Array = npt.NDArray[Any]
Tensors = Mapping[tuple[Place, str], Array | None]
"""Tensors by place and name, each with the rows first."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The aspects of the fields of one tensor, and where the bins of each begin in their common counts."""

    source: tuple[Place, str]
    fields: tuple[FieldLayout, ...]
    keys: tuple[AspectKey, ...]
    bins: tuple[Bins, ...]
    offsets: Places
    size: int
    columns: npt.NDArray[np.intp] | None
    """The columns of its rows, where all are numbers in bins by their bits: they are found at once."""


BinnedRows = Sequence[Places]
"""By group, [rows, aspects]: the place of each value in the group's counts."""


class RowProfiler:
    """Knows the bins of a layout. It has no state of its own; `labels` are names of classes, by output."""

    def __init__(self, layout: Layout, labels: Mapping[str, Sequence[str]] | None = None) -> None:
        self.layout = layout
        self.labels = labels or {}
        self._groups = [_group(source, fields) for source, fields in _by_tensor(layout)]
        grouped = {key: at for at, key in enumerate(_keys(self._groups))}
        self._order = [grouped[key] for key in aspect_keys(layout)]

    def binned(self, tensors: Tensors, lengths: Mapping[str, Array], rows: int) -> BinnedRows:
        """The bins of these rows. What is not there is missing."""
        return [self._places(group, tensors, lengths, rows) for group in self._groups]

    def _places(
        self, group: _Group, tensors: Tensors, lengths: Mapping[str, Array], rows: int
    ) -> Places:
        if not group.source[1]:
            return _places_of_lengths(group, lengths, rows)
        array = tensors.get(group.source)
        if array is None:
            return np.broadcast_to(group.offsets + MISSING, (rows, len(group.keys)))
        columns = rows_of(array)
        is_there = group.columns is not None and group.columns[-1] < columns.shape[1]
        if is_there and array.dtype.kind not in "OSU":
            return float_bit_places(columns[:, group.columns]) + group.offsets
        return self._places_by_field(group, columns)

    def _places_by_field(self, group: _Group, columns: Array) -> Places:
        found = np.empty((len(columns), len(group.keys)), np.int64)
        labels = self.labels.get(group.source[1], ())
        at = 0
        for field in group.fields:
            places = _places_of_field(field, columns, labels)
            for aspect in field.aspects:
                found[:, at] = places.get(aspect, MISSING)
                at += 1
        return found + group.offsets

    def bins(self, binned: BinnedRows) -> Places:
        """The bin of each aspect of each field, in the layout's order: [rows, aspects]."""
        found = [places - group.offsets for group, places in zip(self._groups, binned, strict=True)]
        return np.concatenate(found, axis=1)[:, self._order]

    def tally(self) -> RowTally:
        """Return counts of rows, which are none yet."""
        return RowTally(self.layout.reference, self._groups)


class RowTally:
    """Counts rows. A profile is made of it once."""

    def __init__(self, reference: str, groups: Sequence[_Group]) -> None:
        self._reference = reference
        self._groups = groups
        self._counts: list[Counts] = [np.zeros(group.size, np.int64) for group in groups]
        self.rows = 0

    def add(self, binned: BinnedRows, chosen: npt.NDArray[np.bool_] | None = None) -> None:
        """Count these rows, or those that are chosen."""
        for place, (group, places) in enumerate(zip(self._groups, binned, strict=True)):
            some = places if chosen is None else places[chosen]
            self._counts[place] += np.bincount(some.ravel(), minlength=group.size)
            self.rows += 0 if place else len(some)

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        return sum(counts.nbytes for counts in self._counts)

    def profile(self, seen_rows: int) -> Profile:
        """The profile of what was counted, of so many rows that there were."""
        counts = {
            key: counts[offset : offset + bin_count(bins)]
            for group, counts in zip(self._groups, self._counts, strict=True)
            for key, bins, offset in zip(
                group.keys, group.bins, group.offsets.tolist(), strict=True
            )
        }
        return Profile(self._reference, self.rows, max(seen_rows, self.rows), counts)


def aspect_keys(layout: Layout) -> list[AspectKey]:
    """All aspects of a layout's fields, in its order."""
    return [AspectKey(field.name, aspect) for field in layout.fields for aspect in field.aspects]


def _keys(groups: Sequence[_Group]) -> Iterator[AspectKey]:
    for group in groups:
        yield from group.keys


def _by_tensor(layout: Layout) -> Iterator[tuple[tuple[Place, str], tuple[FieldLayout, ...]]]:
    found: dict[tuple[Place, str], list[FieldLayout]] = {}
    for field in layout.fields:
        found.setdefault((field.place, field.tensor), []).append(field)
    for source, fields in found.items():
        yield source, tuple(fields)


def _group(source: tuple[Place, str], fields: tuple[FieldLayout, ...]) -> _Group:
    pairs = [
        (AspectKey(field.name, aspect), bins)
        for field in fields
        for aspect, bins in field.aspects.items()
    ]
    counts = [bin_count(bins) for _, bins in pairs]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    plain = all(
        field.kind is FieldKind.NUMBER
        and list(field.aspects) == [VALUE]
        and field.aspects[VALUE].kind is BinKind.FLOAT_BITS
        for field in fields
    )
    columns = np.array([max(field.column, 0) for field in fields], np.intp) if plain else None
    return _Group(
        source,
        fields,
        tuple(key for key, _ in pairs),
        tuple(bins for _, bins in pairs),
        offsets[:-1],
        int(offsets[-1]),
        columns,
    )


def _places_of_field(
    field: FieldLayout, columns: Array, labels: Sequence[str]
) -> Mapping[str, Places]:
    """The bins of a field's values, by aspect; none where a tensor has no such values.

    A reference may be of rows of another shape or of other types: what cannot be read as it says is
    missing, and costs no other field.
    """
    if field.column >= columns.shape[1] or not (columns.shape[1] or field.kind is FieldKind.TENSOR):
        return {}
    try:
        values = values_of(field, columns, labels, field.aspects)
        return {
            aspect: places_of(bins, values[aspect])
            for aspect, bins in field.aspects.items()
            if aspect in values
        }
    except (ValueError, TypeError):
        return {}


def _places_of_lengths(group: _Group, lengths: Mapping[str, Array], rows: int) -> Places:
    found = np.full((rows, len(group.keys)), MISSING, np.int64)
    for at, (key, bins) in enumerate(zip(group.keys, group.bins, strict=True)):
        values = lengths.get(key.field.removeprefix("length "))
        if values is not None:
            found[:, at] = places_of(bins, values.astype(np.float64))
    return found + group.offsets
