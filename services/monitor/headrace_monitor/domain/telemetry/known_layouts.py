"""Remembers the fields of versions: replicas tell them with a profile now and then, and not with each."""

from __future__ import annotations

import threading
from collections import OrderedDict

from headrace.data_profiles.binning import bin_count
from headrace.data_profiles.layouts import Layout

MAX_BINS = 20_000_000
"""Of all layouts together; over it the one that was told longest ago is forgotten."""

_Key = tuple[str, int, str]


class KnownLayouts:
    """Layouts by model, version and reference. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._layouts: OrderedDict[_Key, tuple[Layout, int]] = OrderedDict()
        self._bins = 0
        self.unknown = 0
        """Profiles that were left out, since nobody had told their fields, or they were not of these."""

    def told(self, model: str, version: int, layout: Layout) -> Layout:
        """Remember a layout; the same object is given back while it stays the same."""
        key = model, version, layout.reference
        with self._lock:
            known = self._layouts.get(key)
            if known is not None and known[0] == layout:
                self._layouts.move_to_end(key)
                return known[0]
            self._bins -= known[1] if known is not None else 0
            size = bins_of(layout)
            self._layouts[key] = layout, size
            self._bins += size
            while self._bins > MAX_BINS and len(self._layouts) > 1:
                self._bins -= self._layouts.popitem(last=False)[1][1]
        return layout

    def find(self, model: str, version: int, reference: str) -> Layout | None:
        """The layout of a version in the bins of a reference, if it was told."""
        with self._lock:
            known = self._layouts.get((model, version, reference))
        return known[0] if known is not None else None


def bins_of(layout: Layout) -> int:
    """Count the bins of all aspects."""
    return sum(bin_count(bins) for field in layout.fields for bins in field.aspects.values())
