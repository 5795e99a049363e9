"""Bounds how many versions have series of their own in metrics; the others are summed up."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from headrace_inference.adapters.metrics.text import label_text
from headrace_inference.domain.versions.statistics import Counts

Key = tuple[str, int]

OTHERS: Key = ("_others", -1)
"""Stands for all versions without series of their own. No model has such a name."""


def version_labels(key: Key) -> str:
    """The labels of a version's series, or of those of all others."""
    model, number = key
    return label_text(model=model, version=model if key == OTHERS else str(number))


def own_or_others(key: Key, own: AbstractSet[Key]) -> Key:
    """The version itself, if it has series of its own."""
    return key if key in own else OTHERS


def summed(values: Mapping[Key, int], own: AbstractSet[Key]) -> dict[Key, int]:
    """The values of versions with series of their own, and the sum of all others."""
    sums: dict[Key, int] = {}
    for key, value in values.items():
        place = own_or_others(key, own)
        sums[place] = sums.get(place, 0) + value
    return sums


@dataclass(slots=True)
class SeriesLimit:
    """Gives places to the versions that did something, first come, and what is left to those that did not.

    Counters must not fall: a version that had no place when it first did something never gets one, and
    one that has a place keeps it until it is deleted and another needs it. One scrape at a time.
    """

    most: int
    _own: set[Key] = field(default_factory=set)
    _summed: set[Key] = field(default_factory=set)
    _gone: set[Key] = field(default_factory=set)

    def told_apart(self, counts: Mapping[Key, Counts], known: Container[Key]) -> dict[Key, Counts]:
        """The counts of versions with series of their own, and of all OTHERS if there are any.

        `known` has the versions that there are.
        """
        for key, count in counts.items():
            if not count.idle and not self._is_placed(key):
                self._place(key, known)
        shown = {key: count for key, count in counts.items() if key in self._own}
        for key, count in counts.items():
            if len(shown) < self.most and not self._is_placed(key):
                shown[key] = count
        if self._summed:
            others = shown[OTHERS] = Counts()
            for key in self._summed & counts.keys():
                others.add(counts[key])
        return dict(sorted(shown.items()))

    def chosen(self, keys: Iterable[Key]) -> set[Key]:
        """Of versions with a state, those with series of their own: the ones that did something first."""
        ordered = sorted(keys, key=lambda key: (key not in self._own, key))
        return set(ordered[: self.most])

    def _is_placed(self, key: Key) -> bool:
        return key in self._own or key in self._summed or key in self._gone

    def _place(self, key: Key, known: Container[Key]) -> None:
        if len(self._own) >= self.most:
            deleted = next((own for own in self._own if own[1] and own not in known), None)
            if deleted is not None:
                self._own.discard(deleted)
                self._gone.add(deleted)
        (self._own if len(self._own) < self.most else self._summed).add(key)
