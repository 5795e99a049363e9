"""Names that many answers share, each with a number: kept once, and bounded."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec

from headrace_monitor.domain.quality.tallies import OTHER

MAX_CLASSES = 256
"""Told apart of one version; others are counted as `_other`, and are right or wrong all the same."""

MAX_VERSIONS = 2_000
MAX_SLICE_SETS = 10_000
_BEYOND = 2**32
"""Numbers from here on are hashes of classes beyond the limit: enough to tell that two are equal."""


class Interned:
    """Versions, sets of slices, each version's classes, by number; `is_changed` until they are stored."""

    def __init__(self) -> None:
        self._tables = _Tables()
        self._versions: dict[tuple[str, int], int] = {}
        self._slices: dict[tuple[str, ...], int] = {}
        self._classes: list[dict[str, int]] = []
        self.is_changed = False
        self._of_models: dict[str, list[int]] = {}

    def version(self, model: str, number: int) -> int | None:
        """The number of a version, a new one if needed; None where there are too many."""
        known = self._versions.get((model, number))
        if known is not None or len(self._versions) >= MAX_VERSIONS:
            return known
        self._tables.versions.append((model, number))
        self._tables.classes.append([])
        self._enter_version(model, number)
        self.is_changed = True
        return len(self._versions) - 1

    def _enter_version(self, model: str, number: int) -> None:
        place = len(self._versions)
        self._versions[model, number] = place
        self._classes.append({})
        self._of_models.setdefault(model, []).append(place)

    def version_of(self, place: int) -> tuple[str, int]:
        """The model and number of a version."""
        return self._tables.versions[place]

    def versions_of(self, model: str) -> list[int]:
        """The versions of a model that ever told of answers."""
        return self._of_models.get(model, [])

    def slices(self, names: tuple[str, ...]) -> int:
        """The number of a set of slices; that of none where there are too many."""
        known = self._slices.get(names)
        if known is not None:
            return known
        if len(self._slices) >= MAX_SLICE_SETS:
            return self.slices(()) if names else 0
        self._slices[names] = len(self._slices)
        self._tables.slices.append(names)
        self.is_changed = True
        return len(self._slices) - 1

    def slices_of(self, place: int) -> tuple[str, ...]:
        """The slices of a set."""
        return self._tables.slices[place]

    def class_number(self, version: int, name: str) -> int:
        """The number of a class of a version."""
        classes = self._classes[version]
        known = classes.get(name)
        if known is not None:
            return known
        if len(classes) >= MAX_CLASSES:
            return _BEYOND + zlib.crc32(name.encode("utf-8", "surrogatepass"))
        classes[name] = len(classes)
        self._tables.classes[version].append(name)
        self.is_changed = True
        return len(classes) - 1

    def class_name(self, version: int, number: int) -> str:
        """The class with a number."""
        return OTHER if number >= _BEYOND else self._tables.classes[version][number]

    def agrees(self, version: int, positive: int) -> bool:
        """Return whether weights of a version are of this class, as its first was; -1: of the one answered.

        Others cannot be counted together with those.
        """
        if version not in self._tables.positives:
            self._tables.positives[version] = positive
            self.is_changed = True
        return self._tables.positives[version] == positive

    def encode(self) -> bytes:
        """All tables."""
        return msgspec.msgpack.encode(self._tables)

    def restore(self, data: bytes) -> None:
        """Take up what was stored. Raises msgspec.DecodeError."""
        self._tables = msgspec.msgpack.decode(data, type=_Tables)
        for model, number in self._tables.versions:
            self._enter_version(model, number)
        self._classes = [_numbered(names) for names in self._tables.classes]
        self._slices = {names: place for place, names in enumerate(self._tables.slices)}


class _Tables(msgspec.Struct):
    versions: list[tuple[str, int]] = []
    slices: list[tuple[str, ...]] = []
    classes: list[list[str]] = []
    positives: dict[int, int] = {}
    """By version the class that its scores are of; -1 where there are confidences."""


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}
