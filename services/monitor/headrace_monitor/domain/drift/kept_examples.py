"""Keeps the newest rows that replicas showed, and finds those with values that grew most frequent.

They are in memory alone: a restart forgets them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headrace.data_profiles.binning import limits_of
from headrace.data_profiles.layouts import BinKind, Bins, Layout
from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace_monitor.domain.drift.baselines import Baseline
from headrace_monitor.domain.drift.events import INFINITE, MISSING, VALUES, Ints
from headrace_monitor.domain.drift.findings import Concern
from headrace_monitor.domain.telemetry.row_example import RowExample

KEPT_ROWS = 200
"""Of each version; more of them are of faults than there are in traffic."""

MAX_BYTES = 16 * 2**20
"""Of all; over it the versions go whose newest rows are the oldest."""

MAX_SHOWN = 20
_BYTES_A_ROW = 600
"""Beside bins and values: names, times, objects."""

_SMOOTHED = 9
"""Groups that are looked at together, of numbers: a group has a 64th of the reference."""


_Places = Mapping[AspectKey, tuple[int, int, Bins]]
"""Where each aspect is in an example's bins, its field in the values, and its bins."""


class Shown(NamedTuple):
    """A row that shows what is off about a field."""

    request_id: str
    row: int
    time_ns: int
    value: str
    slices: tuple[str, ...]


class KeptExamples:
    """The newest rows by version. All is called in the thread of the reports."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._versions: OrderedDict[tuple[str, int], deque[RowExample]] = OrderedDict()
        self.size_bytes = 0
        self._places: tuple[Layout, _Places] = (Layout(), {})

    def take(self, examples: Iterable[RowExample]) -> None:
        """Keep these."""
        for each in examples:
            key = each.model, each.version
            kept = self._versions.setdefault(key, deque())
            self._versions.move_to_end(key)
            kept.append(each)
            self.size_bytes += _size(each)
            if len(kept) > KEPT_ROWS:
                self.size_bytes -= _size(kept.popleft())
            while self.size_bytes > self._max_bytes and len(self._versions) > 1:
                self.size_bytes -= sum(map(_size, self._versions.popitem(last=False)[1]))

    def _places_of(self, layout: Layout) -> _Places:
        """Those of the layout that was asked for last are kept: a version's findings share one."""
        if self._places[0] is not layout:
            self._places = layout, dict(_numbered(layout))
        return self._places[1]

    def showing(
        self,
        key: ProfileKey,
        layout: Layout,
        baseline: Baseline,
        current: Ints,
        concern: Concern,
        since_ns: int = 0,
    ) -> list[Shown]:
        """The newest rows of a version or slice that show what is off, of so many rows by group."""
        wanted = grown_groups(baseline, current, concern)
        place = self._places_of(layout).get(baseline.key)
        if place is None or not wanted:
            return []
        column, field, bins = place
        found = []
        for each in reversed(self._versions.get((key.model, key.version), ())):
            if each.time_ns < since_ns or (key.slice and key.slice not in each.slices):
                continue
            if each.layout is not layout and each.layout != layout:
                continue
            own = int(np.frombuffer(each.bins, np.int32)[column])
            if own < baseline.groups.size and int(baseline.groups[own]) in wanted:
                value = _value(each, field) or bin_name(bins, own)
                found.append(Shown(each.request_id, each.row, each.time_ns, value, each.slices))
        found.sort(key=lambda one: -one.time_ns)
        return found[:MAX_SHOWN]


def grown_groups(baseline: Baseline, current: Ints, concern: Concern) -> set[int]:
    """The groups whose share of the rows grew most; none where nothing grew."""
    last = baseline.counts.size - 1
    if concern is Concern.MISSING:
        return {MISSING}
    if concern is Concern.INFINITE:
        return {INFINITE}
    if concern is Concern.OUT_OF_RANGE:
        return {VALUES, last}
    if concern is Concern.NEW_CATEGORY:
        return {last}
    before, now = _shares(baseline.counts), _shares(current)
    if baseline.is_ordered:
        before, now = _smooth(before), _smooth(now)
    ratios = (now + 1e-4) / (before + 1e-4)
    ratios[(current == 0) | (np.arange(ratios.size) < VALUES)] = 0
    highest = float(ratios.max(initial=0))
    if highest <= 1:
        return set()
    return set(np.flatnonzero(ratios >= highest**0.5).tolist())


def _numbered(layout: Layout) -> Iterator[tuple[AspectKey, tuple[int, int, Bins]]]:
    column = 0
    for number, field in enumerate(layout.fields):
        for aspect, bins in field.aspects.items():
            yield AspectKey(field.name, aspect), (column, number, bins)
            column += 1


def bin_name(bins: Bins, place: int) -> str:
    """What is in a bin, for people: `missing`, `3 to 4.5`, a label."""
    if place in {MISSING, INFINITE}:
        return "missing" if place == MISSING else "infinite"
    inner = place - VALUES
    if bins.kind is BinKind.LABELS:
        return bins.labels[inner] if inner < len(bins.labels) else "none of the reference's"
    limits: Sequence[float] = limits_of(bins).tolist()
    if inner + 1 >= len(limits):
        return ""
    low, high = limits[inner], limits[inner + 1]
    if not np.isfinite(low):
        return f"up to {high:.4g}"
    return f"above {low:.4g}" if not np.isfinite(high) else f"{low:.4g} to {high:.4g}"


def _value(example: RowExample, field: int) -> str:
    return example.values.split("\n")[field] if example.values else ""


def _shares(counts: Ints) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return counts / max(1, int(counts.sum()))


def _smooth(
    shares: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The values' shares as means over neighbours; those of missing and infinite ones as they are."""
    values = shares[VALUES:]
    if values.size < 2 * _SMOOTHED:
        return shares
    window = np.ones(_SMOOTHED)
    mean = np.convolve(values, window, "same") / np.convolve(np.ones(values.size), window, "same")
    return np.concatenate((shares[:VALUES], mean))


def _size(example: RowExample) -> int:
    return _BYTES_A_ROW + len(example.bins) + len(example.values) + 60 * len(example.slices)
