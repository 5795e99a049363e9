"""A subject: one version, or one slice of it, from its first rows on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import AspectKey, Counts, Profile, ProfileKey
from headrace_monitor.domain.drift.events import Ints
from headrace_monitor.domain.drift.learning import FirstRows
from headrace_monitor.domain.drift.panel import Panel

_BYTES_AN_ASPECT = 24_000
"""Of one with 64 groups, its tests and names; measured."""


def _no_counts() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(slots=True, eq=False)
class Subject:
    """All that is known of it. Its rows are counted in the bins of `layout`."""

    key: ProfileKey
    order: int
    """Its place among the slices of its version, from 1; 0 for all rows of the version."""
    layout: Layout
    first: FirstRows | None
    """The rows that become its baselines; None once those are there."""
    panel: Panel | None = None
    """None while there is nothing to compare with."""
    compared_rows: int = 0
    seen_ns: int = 0
    """When it last had rows, by the steady time."""
    stored_ns: int = 0
    """When it was last given to be stored, by the steady time."""
    is_reset: bool = False
    """It was told to compare with its own rows from then on, whatever the registry keeps."""
    pending: Ints = field(default_factory=_no_counts)
    """By group, not looked at yet."""
    pending_rows: int = 0

    def count(self, profile: Profile) -> None:
        """Count rows, in the bins of its layout."""
        if self.first is not None:
            self.first.add(profile.rows, profile.counts)
        if self.panel is not None:
            more = _grouped(self.panel, profile.counts)
            self.pending = self.pending + more if self.pending.size else more
        self.pending_rows += profile.rows

    def step(self, now_ns: int) -> bool:
        """Look at the rows that came; give whether a finding was opened or closed."""
        counts, rows = self.pending, self.pending_rows
        self.pending, self.pending_rows = _no_counts(), 0
        if self.panel is None or not counts.size:
            return False
        self.compared_rows += rows
        return self.panel.step(counts, now_ns)

    def close(self, now_ns: int) -> bool:
        """Close what is open, since no rows come; give whether there was anything."""
        return self.panel is not None and self.panel.close_all(now_ns)

    def compare_with(self, panel: Panel, *, is_final: bool) -> None:
        """Compare rows with these baselines from now on; with its own first rows later, if not final."""
        self.panel, self.compared_rows = panel, 0
        self.pending, self.pending_rows = _no_counts(), 0
        if is_final:
            self.first = None

    @property
    def size_bytes(self) -> int:
        """Its memory, or what it will be once it has baselines."""
        learning = self.first.size_bytes if self.first else 0
        return learning + needed_bytes(self.layout)


def needed_bytes(layout: Layout) -> int:
    """The memory of a subject with such a layout, at most."""
    return _BYTES_AN_ASPECT * (1 + sum(len(field.aspects) for field in layout.fields))


def _grouped(panel: Panel, counts: Mapping[AspectKey, Counts]) -> Ints:
    total = np.zeros(panel.reference.size, np.int64)
    for baseline, span in zip(panel.baselines, panel.spans, strict=True):
        found = counts.get(baseline.key)
        if found is not None and found.size == baseline.groups.size:
            total[span.first : span.last] = baseline.grouped(found)
    return total
