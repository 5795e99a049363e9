"""Gives loads their places: a slow one yields, and a quick one waits for none.

`max_loading` versions are fetched and prepared at a time. One that goes on for longer than a few seconds
yields: it goes on, and the next begins. That has a bound, since each takes memory. Versions that are
prepared already open in moments, in places of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headrace.state.catalog import Catalog
from headrace.state.desired import Key
from headrace.state.records import VersionRecord
from headrace_inference.domain.versions.identity import record_in

YIELD_SECONDS = 5.0
"""A load that takes longer yields."""

MAX_YIELDED = 8
"""So many go on beside those that have a place; further ones keep theirs."""

_LOOK_SECONDS = 1.0
"""The pause before a load that should yield and had no room tries again."""


@dataclass(frozen=True, slots=True)
class LoadPlaces:
    """The number of loads at a time, `quick` ones beside the others, and when those yield.

    `is_quick` tells whether loading a version is likely to take moments: it is here, and prepared.
    `has_room` tells whether slow loads may take more memory.
    """

    loading: int
    quick: int = 1
    is_quick: Callable[[VersionRecord], bool] = lambda _: False
    has_room: Callable[[], bool] = lambda: True
    yield_seconds: float = YIELD_SECONDS


class LoadSlots:
    """The loads under way, by whether they take a place."""

    def __init__(self, places: LoadPlaces) -> None:
        self.places = places
        self.yielded: set[Key] = set()
        """The loads that take nobody's place any more."""
        self._yields_at: dict[Key, float] = {}
        self._quick: dict[Key, bool] = {}

    def is_quick(self, key: Key, catalog: Catalog) -> bool:
        """Return whether a version's load, also one under way, takes one of the quick ones' places."""
        if key not in self._quick:
            record = record_in(catalog, key)
            self._quick[key] = record is not None and self.places.is_quick(record)
        return self._quick[key]

    def begin(self, key: Key, now: float) -> None:
        """A load begins, by the monotonic clock."""
        self._yields_at[key] = now + self.places.yield_seconds

    def end(self, key: Key) -> None:
        """It has ended, however it did, or nobody wants it any more."""
        self._yields_at.pop(key, None)
        self._quick.pop(key, None)
        self.yielded.discard(key)

    def let_yield(self, now: float) -> None:
        """Have those yield that have taken long, as far as there is room for that."""
        for key, yields_at in self._yields_at.items():
            if yields_at > now or key in self.yielded:
                continue
            if len(self.yielded) < MAX_YIELDED and self.places.has_room():
                self.yielded.add(key)
            else:
                self._yields_at[key] = now + _LOOK_SECONDS

    def next_yield(self) -> float | None:
        """Return when the next load may yield; None where none will."""
        times = [at for key, at in self._yields_at.items() if key not in self.yielded]
        return min(times, default=None)
