"""The versions of all models, by model and number, kept as they were read until they are asked for."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from headrace import errors
from headrace.state.codec import decode
from headrace.state.persistent_map import PersistentMap

Key = tuple[str, int]
Record = TypeVar("Record")

_DECODED = 4096
"""A decoded version takes twice the memory of its JSON: those that were asked for last are kept."""
_decode = lru_cache(maxsize=_DECODED)(decode)


class VersionMap(Mapping[Key, Record], Generic[Record]):
    """Versions by (model, number), those of one model in the order of their numbers.

    What was read as JSON is decoded when it is asked for, which raises DataLoss (STATE_UNREADABLE) where
    it is no version. `updated` costs what changed.
    """

    __slots__ = ("_count", "_models", "_record_type")

    def __init__(
        self, record_type: type[Record], versions: Iterable[tuple[Key, Record | bytes]] = ()
    ) -> None:
        models: dict[str, dict[int, Record | bytes]] = {}
        for (model, number), version in versions:
            models.setdefault(model, {})[number] = version
        self._fill_unordered(record_type, models)

    @classmethod
    def of_models(
        cls, record_type: type[Record], models: Mapping[str, dict[int, Record | bytes]]
    ) -> VersionMap[Record]:
        """The versions of these models, by number in any order. What is handed over is kept."""
        made: VersionMap[Record] = VersionMap.__new__(VersionMap)
        made._fill_unordered(record_type, models)
        return made

    def _fill_unordered(
        self, record_type: type[Record], models: Mapping[str, dict[int, Record | bytes]]
    ) -> None:
        ordered = {model: _in_order(numbers) for model, numbers in models.items()}
        self._fill(record_type, PersistentMap(ordered), sum(map(len, models.values())))

    def _fill(
        self,
        record_type: type[Record],
        models: PersistentMap[str, Mapping[int, Record | bytes]],
        count: int,
    ) -> None:
        self._record_type = record_type
        self._models = models
        self._count = count

    def __getitem__(self, key: Key) -> Record:
        """The version with this number. Raises KeyError, DataLoss."""
        return self._decoded(self._models[key[0]][key[1]])

    def __contains__(self, key: object) -> bool:
        """Return whether there is a version with this (model, number)."""
        return (
            isinstance(key, tuple)
            and key[0] in self._models
            and key[1] in self._models[cast("str", key[0])]
        )

    def __iter__(self) -> Iterator[Key]:
        """The keys, model by model."""
        for model in self._models:
            for number in self._models[model]:
                yield model, number

    def __len__(self) -> int:
        """Return how many versions there are, of all models."""
        return self._count

    def __repr__(self) -> str:
        """The map as a dict is shown."""
        return f"{type(self).__name__}({dict(self)!r})"

    @property
    def models(self) -> PersistentMap[str, Mapping[int, Record | bytes]]:
        """The models that have versions, with what is held of these."""
        return self._models

    def without_model(self, models: Container[str]) -> Iterator[Key]:
        """The keys of versions whose model is none of these."""
        for model in self._models:
            if model not in models:
                yield from ((model, number) for number in self._models[model])

    def numbers_of(self, model: str) -> list[int]:
        """The numbers of a model's versions, in their order."""
        return list(self._models.get(model, {}))

    def sharing(self, former: VersionMap[Record]) -> VersionMap[Record]:
        """The same versions, held as a former map holds those of models that have the same in both."""
        ours, theirs = self._models, former._models
        changed = {
            model: ours.get(model)
            for model in ours.differing(theirs)
            if not self._has_same(model, former)
        }
        made: VersionMap[Record] = VersionMap.__new__(VersionMap)
        made._fill(self._record_type, theirs.updated(changed), self._count)
        return made

    def _has_same(self, model: str, former: VersionMap[Record]) -> bool:
        ours, theirs = self._models.get(model), former._models.get(model)
        if ours is None or theirs is None or ours.keys() != theirs.keys():
            return False
        return all(self._same(ours[number], theirs[number]) for number in ours)

    def _same(self, one: Record | bytes, other: Record | bytes) -> bool:
        if isinstance(one, bytes) == isinstance(other, bytes):
            return one == other
        try:
            return self._decoded(one) == self._decoded(other)
        except errors.DataLoss:  # whoever asks for it is told
            return False

    def _decoded(self, held: Record | bytes) -> Record:
        if isinstance(held, bytes):
            return cast("Record", _decode(cast("Any", self._record_type), held))
        return held

    def held(self, model: str, number: int) -> Record | bytes:
        """Return what is held of a version: its JSON, or the record. Raises KeyError."""
        return self._models[model][number]

    def held_of(self, model: str) -> Iterable[Record | bytes]:
        """Return what is held of a model's versions, oldest first: their JSON, or the records."""
        return self._models.get(model, {}).values()

    def updated(self, changes: Mapping[Key, Record | bytes | None]) -> VersionMap[Record]:
        """The versions after these changes; None takes one out."""
        touched: dict[str, dict[int, Record | bytes]] = {}
        for (model, number), version in changes.items():
            if model not in touched:
                touched[model] = dict(self._models.get(model, {}))
            if version is None:
                touched[model].pop(number, None)
            else:
                touched[model][number] = version
        kept = {model: _in_order(numbers) or None for model, numbers in touched.items()}
        before = sum(len(self._models.get(model, ())) for model in touched)
        made: VersionMap[Record] = VersionMap.__new__(VersionMap)
        count = self._count - before + sum(map(len, touched.values()))
        made._fill(self._record_type, self._models.updated(kept), count)
        return made


def _in_order(numbers: dict[int, Record | bytes]) -> dict[int, Record | bytes]:
    """By number: a change adds the highest, a snapshot comes in no order."""
    listed = list(numbers)
    return numbers if listed == sorted(listed) else dict(sorted(numbers.items()))
