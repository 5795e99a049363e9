"""The events that are tested: that a row falls into some of the bins of a field.

The bins of each aspect become at most 68 *groups*, which lie one behind the other in a *panel*: missing,
infinite, then of numbers what is below the reference, up to 64 stretches of it, what is above; of
categories each label, then all others. An *event* is that a row falls into a run of groups, out of a
larger run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace_monitor.domain.drift.findings import Concern

Ints = npt.NDArray[np.int64]

MISSING, INFINITE, VALUES = 0, 1, 2
"""The places of the first groups of an aspect."""

COARSE_GROUPS = 16
"""A field's values are tested in so many stretches, and cumulated up to each of the cuts between them.
More find narrower changes and take longer to find wide ones."""


class Event(NamedTuple):
    """A row falls into the groups from `start` to before `stop`, of those from `first` to before
    `last`."""

    aspect: int
    concern: Concern
    start: int
    stop: int
    first: int
    last: int
    both_ways: bool = True
    """Fewer count as well as more."""


@dataclass(frozen=True, slots=True)
class Span:
    """The groups of one aspect in its panel."""

    first: int
    size: int
    is_ordered: bool
    """Its values are numbers: groups 2 and the last are below and above all of the reference."""

    @property
    def last(self) -> int:
        """The place behind its last group."""
        return self.first + self.size


def events_of(spans: Sequence[Span], reference: Ints) -> list[Event]:
    """The events of all aspects, whose groups count `reference` in the reference."""
    return [event for place, span in enumerate(spans) for event in _events(place, span, reference)]


def _events(place: int, span: Span, reference: Ints) -> Iterator[Event]:
    first, last, values = span.first, span.last, span.first + VALUES
    yield Event(place, Concern.MISSING, first, first + 1, first, last)
    yield Event(place, Concern.INFINITE, first + 1, values, first, last, both_ways=False)
    if not span.is_ordered:
        for label in range(values, last - 1):
            yield Event(place, Concern.DISTRIBUTION, label, label + 1, values, last)
        yield Event(place, Concern.NEW_CATEGORY, last - 1, last, values, last, both_ways=False)
        return
    for outer in (values, last - 1):
        yield Event(place, Concern.OUT_OF_RANGE, outer, outer + 1, values, last, both_ways=False)
    cuts = _cuts(reference[values:last])
    for cut in cuts[1:-1]:
        yield Event(place, Concern.DISTRIBUTION, values, values + cut, values, last)
    for start, stop in pairwise(cuts):
        yield Event(place, Concern.DISTRIBUTION, values + start, values + stop, values, last)


def _cuts(counts: Ints) -> list[int]:
    """Where to cut groups so that the stretches hold about the same number of rows of the reference."""
    cumulated = np.cumsum(counts)
    goals = np.arange(1, COARSE_GROUPS) / COARSE_GROUPS * cumulated[-1]
    inner = np.searchsorted(cumulated, goals - 0.5) + 1
    return sorted({0, *(int(cut) for cut in inner if cut < counts.size), int(counts.size)})
