"""Tallies by version, slice and stretches of 10 minutes, by the time of the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Learnt:
    """How often answers of each bin were right, or positive, of all that is kept of a version and slice."""

    judged: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest_ns: int = 0
    """The end of the newest stretch that has labels."""

    def count(self, place: int, no: int, yes: int) -> None:
        """Add to a bin, or take away from it."""
        old_no, old_yes = self.judged.get(place, (0, 0))
        self.judged[place] = (old_no + no, old_yes + yes)


class TalliesByTime:
    """All tallies; `changed` and `gone` are keys that differ from what is stored."""

    def __init__(self, most: int = MAX_TALLIES) -> None:
        self._most = most
        self._kept: dict[TallyKey, _Kept] = {}
        self._learnt: dict[QualityKey, Learnt] = {}
        self.changed: set[TallyKey] = set()
        self.gone: set[TallyKey] = set()

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
        self.changed.add(key)
        return kept.tally

    def find(self, key: TallyKey) -> Tally | None:
        """The tally from which something is taken away; None where it is kept no more."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self.changed.add(key)
        return kept.tally

    def peek(self, key: TallyKey) -> Tally | None:
        """The tally as it is, to look at."""
        kept = self._kept.get(key)
        return kept.tally if kept else None

    def learn(self, key: TallyKey, place: int, no: int, yes: int) -> None:
        """Count for all times what is counted in a tally's bin."""
        learnt = self._learnt.setdefault(QualityKey(*key[:3]), Learnt())
        learnt.count(place, no, yes)
        learnt.newest_ns = max(learnt.newest_ns, (key.stretch + 1) * STRETCH_NS)

    def learnt(self, key: QualityKey) -> Learnt:
        """What the labels of a version and slice teach, for another thread."""
        known = self._learnt.get(key, Learnt())
        return Learnt(dict(known.judged), known.newest_ns)

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
        gone = self._kept.pop(key)
        for place, (no, yes) in gone.tally.judged.items():
            self.learn(key, place, -no, -yes)
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
        for each in found:
            for place, (no, yes) in each.tally.judged.items():
                self.learn(each.key, place, no, yes)


def stored_key(key: TallyKey) -> bytes:
    """A key as it is stored."""
    return msgspec.msgpack.encode(key)


def key_of(key: QualityKey, time_ns: int) -> TallyKey:
    """The key of the tally in which an answer of this time is counted."""
    return TallyKey(key.model, key.version, key.slice, time_ns // STRETCH_NS)
