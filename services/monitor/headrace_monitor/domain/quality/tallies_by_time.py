"""Tallies by version, slice and stretches of 10 minutes, by the time of the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from headrace_monitor.domain.quality.figures import QualityKey
from headrace_monitor.domain.quality.tallies import Tally
from headrace_monitor.domain.telemetry.report import NANOSECONDS

STRETCH_NS = 600 * NANOSECONDS

MAX_TALLIES = 20_000
"""Of some 2 to 12 kB: a version of which all requests have an id takes 144 a day. Over it the oldest go."""


class TallyKey(NamedTuple):
    """Whose tally, and which stretch: the nanoseconds at its start, by the length of one."""

    model: str
    version: int
    slice: str
    stretch: int


class _Kept(msgspec.Struct, array_like=True):
    key: TallyKey
    since_ns: int
    tally: Tally


class TalliesByTime:
    """All tallies; `changed` and `gone` are keys that differ from what is stored."""

    def __init__(self, most: int = MAX_TALLIES) -> None:
        self._most = most
        self._kept: dict[TallyKey, _Kept] = {}
        self.changed: set[TallyKey] = set()
        self.gone: set[TallyKey] = set()
        self.is_trimmed = False
        """True once tallies had to go before their time."""

    def __len__(self) -> int:
        return len(self._kept)

    def at(self, key: TallyKey, steady_ns: int) -> Tally:
        """The tally to which something is added."""
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(key, steady_ns, Tally())
            self.gone.discard(key)
            if len(self._kept) > self._most:
                self._drop(next(iter(self._kept)))
                self.is_trimmed = True
        self.changed.add(key)
        return kept.tally

    def find(self, key: TallyKey) -> Tally | None:
        """The tally from which something is taken away; None where it is kept no more."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self.changed.add(key)
        return kept.tally

    def items(self) -> Iterator[tuple[TallyKey, Tally]]:
        """Yield all."""
        for key, kept in self._kept.items():
            yield key, kept.tally

    def drop_before(self, steady_ns: int) -> None:
        """Drop those that were begun earlier."""
        while self._kept:
            kept = next(iter(self._kept.values()))
            if kept.since_ns >= steady_ns:
                return
            self._drop(kept.key)

    def _drop(self, key: TallyKey) -> None:
        del self._kept[key]
        self.changed.discard(key)
        self.gone.add(key)

    def changed_tallies(self) -> Iterator[tuple[bytes, bytes]]:
        """Each tally that differs from what is stored, by its key as it is stored."""
        for key in self.changed:
            yield stored_key(key), msgspec.msgpack.encode(self._kept[key])

    def mark_stored(self) -> None:
        """All that changed or is gone is stored."""
        self.changed.clear()
        self.gone.clear()

    def restore(self, stored: Iterable[bytes]) -> None:
        """Take up what was stored."""
        found = [msgspec.msgpack.decode(data, type=_Kept) for data in stored]
        self._kept = {each.key: each for each in sorted(found, key=lambda one: one.since_ns)}


def stored_key(key: TallyKey) -> bytes:
    """A key as it is stored."""
    return msgspec.msgpack.encode(key)


def key_of(key: QualityKey, time_ns: int) -> TallyKey:
    """The key of the tally in which an answer of this time is counted."""
    return TallyKey(key.model, key.version, key.slice, time_ns // STRETCH_NS)
