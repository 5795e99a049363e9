"""Decides which wanted versions stay loaded: all of them, or as many as the caps allow.

With caps, what is not loaded stands by: a request has it loaded. What is used least recently makes room.
The versions that a model's route needs (those it names, and what was stable before) come and go together,
so that a canary gets its share and going back finds its version loaded. Pinned models stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from headrace.state.catalog import Catalog
from headrace.state.desired import Key, desired_of
from headrace.state.records import ModelRecord

MIN_STAY_SECONDS = 0.5
"""A version loaded for a request stays so long at least, so that it can come back for it."""

_FIRST = -(10**9)
"""The rank of the first version that a request waits for: before all others, in the order of requests."""

Unit = str | Key
"""A unit of loading: all of a model's route, or one other version."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most versions and bytes that are loaded, and the time without a request.

    0 is no limit.
    """

    max_versions: int = 0
    max_bytes: int = 0
    idle_seconds: float = 0.0

    @property
    def unloads(self) -> bool:
        """Return whether anything that is wanted is ever unloaded."""
        return bool(self.max_versions or self.max_bytes or self.idle_seconds)


@dataclass(frozen=True, slots=True)
class Resident:
    """A version that is loaded, or is about to be: its memory, and when it was used last.

    `held` says that it must stay for now: it answers requests, or some wait for it.
    """

    key: Key
    unit: Unit
    memory_bytes: int
    used_at: float
    held: bool = False
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """The places and bytes that loaded versions take, and their units that are not pinned."""

    count: int
    total_bytes: int
    units: set[Unit]


def evictions(residents: Iterable[Resident], caps: Caps, now: float) -> list[Key]:
    """Return what is to be unloaded: what idles, and while a cap is passed what was used least recently.

    Units go as a whole, and only if none of their versions is held or pinned. For the caps' sake the last
    one does not go: it would come back at once.
    """
    residents = list(residents)
    count, total = len(residents), sum(one.memory_bytes for one in residents)
    units = len({one.unit for one in residents if not one.pinned})
    evicted: list[Key] = []
    for used_at, unit in _movable(residents):
        idles = caps.idle_seconds and now - used_at >= caps.idle_seconds
        if not idles and (units == 1 or not _over(count, total, caps)):
            break
        units -= 1
        evicted += [one.key for one in unit]
        count -= len(unit)
        total -= sum(one.memory_bytes for one in unit)
    return evicted


def _over(count: int, total_bytes: int, caps: Caps) -> bool:
    return bool(
        (caps.max_versions and count > caps.max_versions)
        or (caps.max_bytes and total_bytes > caps.max_bytes)
    )


def _movable(residents: Iterable[Resident]) -> list[tuple[float, list[Resident]]]:
    """The units that may go, with the time of their last use, the least recently used first."""
    units: dict[Unit, list[Resident]] = {}
    for one in residents:
        units.setdefault(one.unit, []).append(one)
    movable = [
        (max(one.used_at for one in unit), unit)
        for unit in units.values()
        if not any(one.held or one.pinned for one in unit)
    ]
    return sorted(movable, key=lambda pair: pair[0])


def route_numbers(model: ModelRecord | None) -> tuple[int, ...]:
    """The versions that a model's route needs."""
    if model is None or model.route is None:
        return ()
    numbers = [number for _, number in model.route.named()]
    if model.route.previous is not None:
        numbers.append(model.route.previous)
    return tuple(dict.fromkeys(numbers))


class Residency:
    """Follows what is to be loaded, as catalogs change and requests ask for versions on standby."""

    def __init__(self, caps: Caps, size_of: Callable[[Key], int]) -> None:
        self.caps = caps
        self._size_of = size_of
        self._catalog = Catalog(known=False)
        self._wanted: dict[str, Mapping[Key, int]] = {}
        self.wanted_count = 0
        self.ranks: dict[Key, int] = {}
        """Return what is to be loaded, with the rank in which to load it: the lower the sooner."""
        self._admitted_at: dict[Key, float] = {}
        self._summons = itertools.count(_FIRST)

    def wants(self, key: Key) -> bool:
        """Return whether the catalog wants a version, loaded or standing by."""
        return key in self._wanted.get(key[0], ())

    def is_pinned(self, model: str) -> bool:
        """Return whether a model stays loaded."""
        record = self._catalog.models.get(model)
        return record is not None and record.pinned

    def unit_of(self, key: Key) -> Unit:
        """Return what a version comes and goes with."""
        route = route_numbers(self._catalog.models.get(key[0]))
        return key[0] if key[1] in route else key

    def admitted_at(self, key: Key) -> float:
        """Return when it was last decided to load a version."""
        return self._admitted_at.get(key, 0.0)

    def follow(self, catalog: Catalog, touched: Iterable[str], now: float) -> None:
        """Take what the next catalog wants of the models that differ."""
        former, self._catalog = self._catalog, catalog
        new: list[Key] = []
        for model in touched:
            new += self._follow_model(former, model)
        if not self.caps.unloads:
            admitted: Iterable[Key] = new
        elif not former.known:
            admitted = self._that_fit(new)
        else:
            admitted = new
        for key in admitted:
            self._admit(key, now)

    def _follow_model(self, former: Catalog, model: str) -> list[Key]:
        """Drop what is wanted no more; what is to be loaded of the model now."""
        before = self._wanted.pop(model, {})
        wanted = desired_of(self._catalog, model)
        self.wanted_count += len(wanted) - len(before)
        if wanted:
            self._wanted[model] = wanted
        for key in before:
            if key not in wanted:
                self.drop(key)
        for key in wanted.keys() & self.ranks.keys():
            self.ranks[key] = wanted[key]
        old, new = former.models.get(model), self._catalog.models.get(model)
        moved = old is None or new is None or old.route != new.route
        unit = route_numbers(new) if moved else ()
        pinned = self.is_pinned(model)
        return [key for key in wanted if pinned or key not in before or key[1] in unit]

    def _that_fit(self, keys: Iterable[Key]) -> Iterator[Key]:
        """At the start: pinned models, and as many others as fit, the most recently changed first."""
        units: dict[Unit, list[Key]] = {}
        for key in keys:
            units.setdefault(self.unit_of(key), []).append(key)
        count = total = 0
        for unit in sorted(units.values(), key=self._order):
            pinned = self.is_pinned(unit[0][0])
            if not pinned and self.caps.max_versions and count >= self.caps.max_versions:
                continue
            size = sum(map(self._size_of, unit)) if self.caps.max_bytes else 0
            if not pinned and _over(count + len(unit), total + size, self.caps):
                continue
            count, total = count + len(unit), total + size
            yield from unit

    def _order(self, unit: list[Key]) -> tuple[bool, float, int, Key]:
        record = self._catalog.models[unit[0][0]]
        changed_at = record.route.updated_at if record.route else record.created_at
        rank = min(self._wanted[record.name][key] for key in unit)
        return not record.pinned, -changed_at, rank, min(unit)

    def summon(self, key: Key, now: float) -> None:
        """Have a version loaded before all others, and with it what its model's route needs."""
        wanted = self._wanted.get(key[0], {})
        unit = self.unit_of(key)
        for other in wanted:
            if other != key and self.unit_of(other) == unit and other not in self.ranks:
                self._admit(other, now)
        self._admit(key, now)
        self.ranks[key] = next(self._summons)

    def was_summoned(self, key: Key) -> bool:
        """Return whether a version is loaded because a request asked for it."""
        return self.ranks.get(key, 0) < 0

    def dismiss(self, key: Key) -> None:
        """Nobody waits for a version any more: it has its usual rank again."""
        if key in self.ranks and self.wants(key):
            self.ranks[key] = self._wanted[key[0]][key]

    def drop(self, key: Key) -> None:
        """Have a version loaded no more."""
        self.ranks.pop(key, None)
        self._admitted_at.pop(key, None)

    def _admit(self, key: Key, now: float) -> None:
        if key not in self.ranks:
            self.ranks[key] = self._wanted[key[0]][key]
        self._admitted_at[key] = now

    def room(self, held: Mapping[Key, int]) -> Room:
        """Return what these take, by their bytes, which are not unloaded yet."""
        units = {self.unit_of(key) for key in held if not self.is_pinned(key[0])}
        return Room(len(held), sum(held.values()), units)

    def has_room(self, key: Key, room: Room) -> bool:
        """Return whether a version may be loaded beside what is there.

        Pinned models, and one unit beside them, always have room.
        """
        if not (self.caps.max_versions or self.caps.max_bytes) or self.is_pinned(key[0]):
            return True
        if not room.units - {self.unit_of(key)}:
            return True
        size = self._size_of(key) if self.caps.max_bytes else 0
        return not _over(room.count + 1, room.total_bytes + size, self.caps)
