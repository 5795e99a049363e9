"""Knows by what the requests of a version are told apart, and counts what is over a limit together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from headrace.telemetry.measures import Value
from headrace.telemetry.parts import OTHER_VALUE, Part, key_of_part, part_of, plain_key
from headrace_monitor.domain.telemetry.tally import Tally, plus

MOST: Final[Mapping[str, int]] = {"route": 16, "slice": 20, "caller": 50}
"""Values of each label of one version, of slices those of each header or parameter; of reasons as many as
the setting `max_reasons` says."""

MAX_SLICINGS = 8
"""Headers and parameters by whose values requests of one version are told apart."""


class KnownParts:
    """The parts of a version's totals, by label; slices by their header or parameter."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[str, set[str]] = {}

    def add(self, keys: Iterable[str]) -> None:
        """Know those in the keys of a tally."""
        for key in keys:
            if "{" in key and (part := part_of(key)) is not None:
                self._values.setdefault(_group(part), set()).add(part.value)

    def take(self, keys: Iterable[str], limit: int) -> bool:
        """Know those in the keys of a tally, if there is room for all; tell whether there is."""
        for key in keys:
            if "{" in key:
                if self._folded(key, limit) != key:
                    return False
                self.add((key,))
        return True

    def within_limits(self, tally: Tally, limit: int) -> Tally:
        """Add up those for which there is no room; those for which there is are known from now on."""
        if not any("{" in key for key in tally.keys()):  # noqa: SIM118  # it is no dict
            return tally
        folded: dict[str, Value] = {}
        for key, value in tally.items():
            place = self._folded(key, limit) if "{" in key else key
            self.add((place,))
            folded[place] = plus(folded[place], value) if place in folded else value
        return Tally.by_key(folded)

    def _folded(self, key: str, limit: int) -> str:
        part = part_of(key)
        assert part is not None
        group = _group(part)
        if self._has_room(part, group, limit):
            return key
        return key_of_part(plain_key(key), part._replace(value=_other(part, self._values)))

    def _has_room(self, part: Part, group: str, limit: int) -> bool:
        known = self._values.get(group)
        if _is_other(part) or (known is not None and part.value in known):
            return True
        if known is None:
            slicings = sum(each.startswith("slice ") for each in self._values)
            return part.label != "slice" or slicings < MAX_SLICINGS
        return len(known) < MOST.get(part.label, limit)


def _group(part: Part) -> str:
    if part.label != "slice":
        return part.label
    return f"slice {part.value.partition('=')[0]}"


def _is_other(part: Part) -> bool:
    value = part.value.partition("=")[2] if part.label == "slice" else part.value
    return OTHER_VALUE in (value, part.value)


def _other(part: Part, known_groups: Collection[str]) -> str:
    slicing = part.value.partition("=")[0]
    return f"{slicing}={OTHER_VALUE}" if f"slice {slicing}" in known_groups else OTHER_VALUE
