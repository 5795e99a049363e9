"""Keeps a few rows of requests with an id: those with a value that stands out, and some others.

A monitor that finds a field off shows by them which requests have such values.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.float_bits import FIRST, INFINITE, MISSING
from headrace.data_profiles.layouts import BinKind, Bins, Layout
from headrace.data_profiles.profiling import RowProfiler
from headrace.data_profiles.shown_values import ValuesTold, shown_values
from headrace.state.records import VersionRecord
from headrace_inference.domain.sampling.row_groups import alike, lengths, tensors, texts
from headrace_inference.domain.sampling.rows import SampledRequest, SampledRows
from headrace_inference.domain.sampling.version_layouts import NoReferences, References, own_layout

MAX_OF_A_FAULT = 5
"""Rows with the same fault of a field (missing, infinite, out of range, in no category)."""

MAX_FAULTY = 30
"""Of one version, until they are told."""

MAX_OTHERS = 20

MAX_CELLS = 6_000
"""Rows times aspects of one version, until they are told: of 1,000 fields six rows are kept."""

MAX_VERSIONS = 200
MAX_ID_LENGTH = 256


class RowExample(NamedTuple):
    """One row, as profiles see it."""

    record: VersionRecord
    reference: str
    request: SampledRequest
    row: int
    answered_ns: int
    bins: tuple[int, ...]
    """Of each aspect, in the layout's order."""
    values: tuple[str, ...] = ()
    """Of each field; none where they are not told."""


@dataclass(slots=True, eq=False)
class _Version:
    record: VersionRecord
    profiler: RowProfiler
    odd: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    """Of each aspect the bins that are below and above, or of no category; 0 where there is none."""
    waiting: list[SampledRows] = field(default_factory=list)
    faulty: list[RowExample] = field(default_factory=list)
    others: list[RowExample] = field(default_factory=list)
    faults: Counter[tuple[int, int]] = field(default_factory=Counter)
    seen: int = 0


class RowExamples:
    """Takes rows with inputs and outputs, and gives examples; for one thread."""

    def __init__(
        self, references: References | None = None, told: ValuesTold = ValuesTold.NUMBERS
    ) -> None:
        self._references = references or NoReferences()
        self._told = told
        self._versions: dict[tuple[str, int], _Version] = {}
        self._random = random.Random()  # noqa: S311  # chooses rows, and keeps no secret

    def take(self, rows: SampledRows) -> None:
        """Keep these until `seen` is called."""
        version = self._version(rows)
        if version is not None:
            version.waiting.append(rows)

    def seen(self, record: VersionRecord, rows: int) -> None:  # noqa: ARG002  # profiles count them
        """Choose among the rows that were taken."""
        version = self._versions.get((record.model, record.number))
        if version is None:
            return
        waiting, version.waiting = version.waiting, []
        for together in alike(waiting):
            self._choose(version, together)

    def examples(self) -> list[RowExample]:
        """Those that were kept since this was last called; bins begin anew with those of references."""
        versions, self._versions = self._versions, {}
        return [each for one in versions.values() for each in (*one.faulty, *one.others)]

    def _version(self, rows: SampledRows) -> _Version | None:
        record = rows.record
        known = self._versions.get((record.model, record.number))
        if known is not None and known.record.digest == record.digest:
            return known
        if len(self._versions) >= MAX_VERSIONS:
            return None
        reference = self._references.reference_of(record)
        labels = texts(rows.labels)
        layout = reference.layout if reference is not None else own_layout(record, labels)
        made = _Version(record, RowProfiler(layout, labels), _odd_bins(layout))
        self._versions[record.model, record.number] = made
        return made

    def _choose(self, version: _Version, together: Sequence[SampledRows]) -> None:
        rows = sum(map(len, together))
        found = tensors(version.record, together)
        bins = version.profiler.bins(version.profiler.binned(found, lengths(together), rows))
        if not bins.shape[1]:
            return
        origins = [(part, at) for part in together for at in range(len(part))]
        for place, (part, at) in enumerate(origins):
            if not 0 < len(part.requests[at].id) <= MAX_ID_LENGTH:
                continue
            kept = self._place(version, bins[place])
            if kept is None:
                continue
            into, slot = kept
            values = shown_values(version.profiler, found, place, self._told)
            example = RowExample(
                version.record,
                version.profiler.layout.reference,
                part.requests[at],
                part.row_numbers[at],
                part.answered_ns,
                tuple(bins[place].tolist()),
                values,
            )
            into[slot : slot + 1] = [example]

    def _place(
        self, version: _Version, bins: npt.NDArray[np.int64]
    ) -> tuple[list[RowExample], int] | None:
        """Where a row is kept, if it is."""
        most = max(1, MAX_CELLS // len(bins))
        below, above = version.odd
        is_odd = (bins == MISSING) | (bins == INFINITE) | (bins == below) | (bins == above)
        faults = [(at, int(bins[at])) for at in np.flatnonzero(is_odd).tolist()]
        is_news = any(version.faults[each] < MAX_OF_A_FAULT for each in faults)
        if is_news and len(version.faulty) < min(MAX_FAULTY, most):
            version.faults.update(faults)
            return version.faulty, len(version.faulty)
        version.seen += 1
        room = min(MAX_OTHERS, max(1, most // 2))
        if len(version.others) < room:
            return version.others, len(version.others)
        slot = self._random.randrange(version.seen)
        return (version.others, slot) if slot < room else None


def _odd_bins(layout: Layout) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    pairs = [_outside(bins) for each in layout.fields for bins in each.aspects.values()]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _outside(bins: Bins) -> tuple[int, int]:
    if bins.kind is BinKind.EDGES:
        return FIRST, FIRST + len(bins.edges)
    if bins.kind is BinKind.LABELS and bins.labels:
        return MISSING, FIRST + len(bins.labels)
    return MISSING, MISSING
