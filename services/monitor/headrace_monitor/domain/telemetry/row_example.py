"""The noun of rows that replicas show, to look at where a field is off."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.data_profiles.layouts import Layout


@dataclass(frozen=True, slots=True)
class RowExample:
    """One row of a request that has an id, in the bins of a layout."""

    model: str
    version: int
    layout: Layout
    request_id: str
    row: int
    time_ns: int
    slices: tuple[str, ...]
    bins: bytes
    """Of each aspect of each field, in the layout's order: four bytes each, of this machine."""
    values: str = ""
    """Of each field, one a line; '' where none is told."""
