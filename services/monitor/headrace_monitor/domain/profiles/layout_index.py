"""Numbers the bins of a layout from 0 on, so that a profile is two short arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.binning import bin_count
from headrace.data_profiles.layouts import BinKind, Bins, FieldKind, FieldLayout, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Counts, Profile


class Filled(NamedTuple):
    """Bins that are not empty, ascending, and their counts."""

    places: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


class LayoutIndex:
    """The bins of a layout, one aspect after the other."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.text = _text_of(layout)
        self.id = hashlib.sha256(self.text).hexdigest()[:16]
        """Equal for equal layouts."""
        self._spans: dict[AspectKey, tuple[int, int]] = {}
        at = 0
        for field in layout.fields:
            for aspect, bins in field.aspects.items():
                count = bin_count(bins)
                self._spans[AspectKey(field.name, aspect)] = at, count
                at += count
        self.size = at

    def filled(self, profile: Profile) -> Filled:
        """The bins of a profile that are not empty; aspects of other layouts are left out."""
        places, counts = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for key, (offset, size) in self._spans.items():
            found = profile.counts.get(key)
            if found is None or len(found) != size:
                continue
            at = np.flatnonzero(found)
            places.append((at + offset).astype(np.int32))
            counts.append(found[at])
        return Filled(np.concatenate(places), np.concatenate(counts))

    def profile(self, rows: int, seen_rows: int, filled: Filled) -> Profile:
        """The profile that has these bins filled."""
        whole = np.zeros(self.size, np.int64)
        whole[filled.places] = filled.counts
        counts: Mapping[AspectKey, Counts] = {
            key: whole[offset : offset + size] for key, (offset, size) in self._spans.items()
        }
        return Profile(self.layout.reference, rows, seen_rows, counts)


def _text_of(layout: Layout) -> bytes:
    fields = [
        [
            field.name,
            field.place.value,
            field.kind.value,
            field.tensor,
            field.column,
            {
                name: [bins.kind.value, list(bins.edges), list(bins.labels)]
                for name, bins in sorted(field.aspects.items())
            },
        ]
        for field in layout.fields
    ]
    return json.dumps([layout.reference, fields], separators=(",", ":")).encode()


def layout_from_text(text: bytes) -> Layout:
    """The layout of its text. Raises ValueError, TypeError or KeyError for any other."""
    reference, fields = json.loads(text)
    return Layout(tuple(_field(*field) for field in fields), reference)


def _field(
    name: str,
    place: str,
    kind: str,
    tensor: str,
    column: int,
    aspects: Mapping[str, tuple[str, list[float], list[str]]],
) -> FieldLayout:
    bins = {
        aspect: Bins(BinKind(kind), tuple(edges), tuple(labels))
        for aspect, (kind, edges, labels) in aspects.items()
    }
    return FieldLayout(name, Place(place), FieldKind(kind), tensor, column, bins)
