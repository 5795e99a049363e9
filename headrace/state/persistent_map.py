"""An immutable mapping whose changed copies share what did not change."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

Key = TypeVar("Key")
Value = TypeVar("Value")
Held = TypeVar("Held", covariant=True)  # noqa: PLC0105  # the map never takes a value in

_SHARDS = 256
"""A change copies the shards that it touches: of 100,000 keys about 400 for each key changed."""
_EMPTY: dict[Any, Any] = {}


class PersistentMap(Mapping[Key, Held], Generic[Key, Held]):
    """Values by key. `updated` gives another map at the cost of what changed, not of what is held."""

    __slots__ = ("_count", "_shards", "_sorted")

    def __init__(self, items: Mapping[Key, Held] | Iterable[tuple[Key, Held]] = ()) -> None:
        shards: list[dict[Key, Held]] = [_EMPTY] * _SHARDS
        for key, value in dict(items).items():
            place = hash(key) % _SHARDS
            if shards[place] is _EMPTY:
                shards[place] = {}
            shards[place][key] = value
        self._fill(shards, None)

    def _fill(self, shards: list[dict[Key, Held]], ordered: list[Key] | None) -> None:
        self._shards = shards
        self._count = sum(map(len, shards))
        self._sorted = ordered

    def __getitem__(self, key: Key) -> Held:
        """The value of a key. Raises KeyError."""
        return self._shards[hash(key) % _SHARDS][key]

    def __contains__(self, key: object) -> bool:
        """Return whether the key is there."""
        return key in self._shards[hash(key) % _SHARDS]

    def __iter__(self) -> Iterator[Key]:
        """The keys, in no order."""
        for shard in self._shards:
            yield from shard

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self._count

    def __repr__(self) -> str:
        """The map as a dict is shown."""
        return f"{type(self).__name__}({dict(self)!r})"

    def sorted_keys(self) -> list[Key]:
        """The keys in order, not to be changed. They are sorted once, and kept in order by `updated`."""
        if self._sorted is None:
            self._sorted = sorted(cast("Iterable[Any]", self))
        return self._sorted

    def updated(self, changes: Mapping[Key, Value | None]) -> PersistentMap[Key, Held | Value]:
        """The map with these values; None takes a key out."""
        shards = cast("list[dict[Key, Held | Value]]", self._shards.copy())
        for place in {hash(key) % _SHARDS for key in changes}:
            shards[place] = shards[place].copy()
        for key, value in changes.items():
            if value is None:
                shards[hash(key) % _SHARDS].pop(key, None)
            else:
                shards[hash(key) % _SHARDS][key] = value
        made: PersistentMap[Key, Held | Value] = PersistentMap.__new__(PersistentMap)
        made._fill(shards, self._reordered(changes))
        return made

    def differing(self, former: PersistentMap[Key, Any]) -> Iterator[Key]:
        """The keys that only one of the two maps has, or whose values are not the same object."""
        for ours, theirs in zip(self._shards, former._shards, strict=True):
            if ours is not theirs:
                yield from (key for key in ours if ours[key] is not theirs.get(key, _EMPTY))
                yield from (key for key in theirs if key not in ours)

    def _reordered(self, changes: Mapping[Key, Any]) -> list[Key] | None:
        """The keys in order after these changes, where they are in order now."""
        moved = [key for key, value in changes.items() if (value is None) == (key in self)]
        if self._sorted is None or not moved:
            return self._sorted
        ordered: list[Any] = self._sorted.copy()
        for key in moved:
            if changes[key] is None:
                del ordered[bisect_left(ordered, key)]
            else:
                insort(ordered, cast("Any", key))
        return ordered
