"""Profiles sampled rows by version and slice, in the bins of references where there are some."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import Profile, ProfileKey
from headrace.data_profiles.profiling import RowProfiler, RowTally
from headrace.state.records import VersionRecord
from headrace_inference.domain.sampling.row_groups import alike, lengths, tensors, texts
from headrace_inference.domain.sampling.rows import SampledRows
from headrace_inference.domain.sampling.version_layouts import NoReferences, References, own_layout

logger = logging.getLogger(__name__)

ALL = ""

MAX_TALLY_BYTES = 64 * 2**20
"""Of counts of all versions and slices; versions and slices that come when it is full are not profiled."""


@dataclass(frozen=True, slots=True)
class VersionProfile:
    """What rows of a version, or of one slice of it, looked like since the last such profile."""

    key: ProfileKey
    layout: Layout
    profile: Profile


@dataclass(slots=True, eq=False)
class _Version:
    """A version that is profiled: its bins, and what was counted since it was last told."""

    record: VersionRecord
    profiler: RowProfiler
    reference: str
    tallies: dict[str, RowTally] = field(default_factory=dict)
    waiting: list[SampledRows] = field(default_factory=list)
    seen: int = 0
    size: int = 0


class RowProfiles:
    """Takes sampled rows, and gives profiles of them; for one thread."""

    def __init__(self, references: References | None = None) -> None:
        self._references = references or NoReferences()
        self._versions: dict[tuple[str, int], _Version] = {}
        self._done: list[VersionProfile] = []
        """Of versions whose bins changed, or that another has taken the number of."""
        self._bytes = 0
        self.left_out = 0
        """Rows of versions and slices for which there was no room."""

    def take(self, rows: SampledRows) -> None:
        """Keep these until `seen` tells that there are no more for now."""
        version = self._version(rows)
        if version is None:
            self.left_out += len(rows)
        else:
            version.waiting.append(rows)

    def seen(self, record: VersionRecord, rows: int) -> None:
        """Look at the rows that were taken, of so many that came."""
        version = self._versions.get((record.model, record.number))
        if version is None:
            return
        version.seen += rows
        waiting, version.waiting = version.waiting, []
        for together in alike(waiting):
            self._count(version, together)

    def profiles(self) -> list[VersionProfile]:
        """The profiles of all that was counted since this was last called."""
        for version in list(self._versions.values()):
            if version.seen:
                self._finish(version)
            else:
                self._forget(version)
        done, self._done = self._done, []
        return done

    def _version(self, rows: SampledRows) -> _Version | None:
        record = rows.record
        known = self._versions.get((record.model, record.number))
        if known is not None and known.record.digest == record.digest:
            return known
        if known is not None:
            self._finish(known)
            self._forget(known)
        reference = self._references.reference_of(record)
        labels = texts(rows.labels)
        layout = reference.layout if reference is not None else own_layout(record, labels)
        made = _Version(record, RowProfiler(layout, labels), layout.reference)
        if self._tally(made, ALL) is None:
            return None
        self._versions[record.model, record.number] = made
        return made

    def _tally(self, version: _Version, slice_name: str) -> RowTally | None:
        tally = version.tallies.get(slice_name)
        if tally is None:
            tally = version.profiler.tally()
            if self._bytes + tally.size_bytes > MAX_TALLY_BYTES:
                return None
            version.tallies[slice_name] = tally
            version.size += tally.size_bytes
            self._bytes += tally.size_bytes
        return tally

    def _count(self, version: _Version, together: Sequence[SampledRows]) -> None:
        rows = sum(map(len, together))
        binned = version.profiler.binned(tensors(version.record, together), lengths(together), rows)
        for slice_name, chosen in _by_slice(together, rows):
            tally = self._tally(version, slice_name)
            if tally is not None:
                tally.add(binned, chosen)
            else:
                self.left_out += int(chosen.sum()) if chosen is not None else rows

    def _finish(self, version: _Version) -> None:
        """Make the profiles of a version. Of a slice it is reckoned how many rows there were."""
        looked_at = max(1, version.tallies[ALL].rows)
        layout = version.profiler.layout
        for slice_name, tally in version.tallies.items():
            seen = (
                version.seen if slice_name == ALL else round(version.seen * tally.rows / looked_at)
            )
            key = ProfileKey(version.record.model, version.record.number, slice_name)
            self._done.append(VersionProfile(key, layout, tally.profile(seen)))
        self._bytes -= version.size
        version.tallies, version.size, version.seen = {}, 0, 0
        reference = self._references.reference_of(version.record)
        is_same = version.reference == (reference.layout.reference if reference else "")
        if not is_same or self._tally(version, ALL) is None:
            self._forget(version)

    def _forget(self, version: _Version) -> None:
        """What comes of it from now on begins anew, in the bins of the reference that there is then."""
        key = version.record.model, version.record.number
        if self._versions.get(key) is version:
            del self._versions[key]
            self._bytes -= version.size


def _by_slice(
    together: Sequence[SampledRows], rows: int
) -> Iterator[tuple[str, npt.NDArray[np.bool_] | None]]:
    """All rows, then those of each slice."""
    yield ALL, None
    places: dict[str, list[int]] = {}
    at = 0
    for some in together:
        for request in some.requests:
            for slice_name in request.slices:
                places.setdefault(slice_name, []).append(at)
            at += 1
    for slice_name, those in places.items():
        chosen = np.zeros(rows, np.bool_)
        chosen[those] = True
        yield slice_name, chosen
