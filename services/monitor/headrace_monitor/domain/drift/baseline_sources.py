"""Where baselines come from: the registry, a subject's own first rows, or an older version's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, Protocol

from headrace.data_profiles.layouts import Bins, Layout, Place
from headrace.data_profiles.profiles import AspectKey
from headrace.data_profiles.references import Reference
from headrace_monitor.domain.drift.baselines import Baseline, baseline_of
from headrace_monitor.domain.drift.findings import ReferenceSource
from headrace_monitor.domain.drift.learning import FirstRows


class References(Protocol):
    """Gives what the registry keeps. It is asked in the thread of the reports, so it does not wait."""

    def reference(self, model: str, version: int, digest: str) -> Reference | None:
        """The reference of a version that has a digest; None where it is another, or is not here yet."""


class _Aspect(NamedTuple):
    key: AspectKey
    bins: Bins
    place: Place


def of_first_rows(layout: Layout, first: FirstRows) -> list[Baseline]:
    """A subject's first rows, as they were counted."""
    return [
        baseline_of(each.key, each.bins, counts)
        for each in _aspects(layout)
        if (counts := first.counts(each.key)) is not None
    ]


def of_registry(reference: Reference) -> list[Baseline]:
    """A reference that the registry keeps."""
    counts, source = reference.profile.counts, ReferenceSource.REGISTERED
    return [
        baseline_of(each.key, each.bins, counts[each.key].astype("int64"), source, reference.origin)
        for each in _aspects(reference.layout)
        if each.key in counts
    ]


def of_older_version(
    version: int, older: Layout, baselines: tuple[Baseline, ...], layout: Layout
) -> list[Baseline]:
    """An older version's, of the inputs that both have in the same bins.

    Outputs are not among them: another version may well answer otherwise.
    """
    known = {each.key: each.bins for each in _aspects(older) if each.place is Place.INPUT}
    same = {each.key for each in _aspects(layout) if known.get(each.key) == each.bins}
    source, origin = ReferenceSource.OTHER_VERSION, f"version {version}"
    return [replace(each, source=source, origin=origin) for each in baselines if each.key in same]


def _aspects(layout: Layout) -> Iterator[_Aspect]:
    for field in layout.fields:
        for aspect, bins in sorted(field.aspects.items()):
            yield _Aspect(AspectKey(field.name, aspect), bins, field.place)
