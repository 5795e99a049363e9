"""Tallies with few keys: what is over a limit is counted together, and nothing known is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import cast

from headrace.telemetry.measures import MEASURES, Kind, Value, kind_of, name_of
from headrace.telemetry.parts import OTHER_VALUE, plain_key
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.encoding import Values
from headrace_monitor.domain.telemetry.known_parts import KnownParts
from headrace_monitor.domain.telemetry.tally import Key, Tally, add_counts

logger = logging.getLogger(__name__)

OTHER_KEY = OTHER_VALUE
"""Where reasons and routes over the limit are counted."""

MAX_BATCH_SIZES = 1024
"""Of one version. Beyond them, batches count at the next power of two: there the metric's buckets end, so
that they stay exact."""

MAX_ROWS = 2**31 - 1
"""The most rows of a batch that a message can tell of."""

MAX_UNKNOWN_MEASURES = 16
"""Measures of newer replicas that are kept; a histogram of one takes 2 kB in the totals of a version."""

_KNOWN = frozenset(measure.key for measure in MEASURES)
_KNOWN_SHORT = frozenset(map(encoding.short_key, _KNOWN))


class UnknownMeasures:
    """The measures that are kept though this monitor does not know them: the first so many."""

    def __init__(self, tallies: Iterable[Values]) -> None:
        self._kept: set[str] = set()
        for values in tallies:
            self._kept.update(filter(_is_unknown, map(encoding.long_key, values)))
        self._told = False

    def takes(self, values: Values) -> bool:
        """True where there is room for all measures of an encoded tally."""
        unknown = values.keys() - _KNOWN_SHORT
        return not unknown or all(map(self._has_room, filter(_is_unknown, unknown)))

    def within_limit(self, tally: Tally) -> Tally:
        """Give the tally without unknown measures for which there is no room."""
        if tally.keys() <= _KNOWN:
            return tally
        over = [key for key, _ in tally.items() if _is_unknown(key) and not self._has_room(key)]
        if not over:
            return tally
        self._tell(over)
        return Tally.by_key({key: value for key, value in tally.items() if key not in over})

    def _has_room(self, key: str) -> bool:
        if key not in self._kept and len(self._kept) < MAX_UNKNOWN_MEASURES:
            self._kept.add(key)
        return key in self._kept

    def _tell(self, keys: Iterable[str]) -> None:
        if self._told:
            return
        self._told = True
        logger.warning(
            "replicas report more unknown measures than are kept: update the monitor",
            extra={"limit": MAX_UNKNOWN_MEASURES, "dropped": sorted(map(name_of, keys))},
        )


def _is_unknown(key: str) -> bool:
    """Tell whether nobody here knows the measure, of whichever part of the requests it is."""
    return key not in _KNOWN and plain_key(key) not in _KNOWN


class KnownKeys:
    """The labels and sizes of a version's totals, by the short keys of their measures, and its parts."""

    __slots__ = ("_keys", "parts")

    def __init__(self, values: Values) -> None:
        self._keys: dict[str, set[str]] = {}
        self.parts = KnownParts()
        self.add(values)

    def add(self, values: Values) -> None:
        """Know all that an encoded tally has."""
        for short, value in values.items():
            if isinstance(value, dict):
                self._keys.setdefault(short, set()).update(value)
        self.parts.add(values)

    def take(self, values: Values, limit: int) -> bool:
        """Know all that an encoded tally has, if there is room for it; tell whether there is."""
        if not self.parts.take(values, limit):
            return False
        for short, value in values.items():
            if isinstance(value, dict):
                known = self._keys.get(short, _NO_KEYS)
                if not value.keys() <= known:
                    most = MAX_BATCH_SIZES if _kind(short) is Kind.SIZES else limit
                    if len(known | value.keys()) > most:
                        return False
                    self._keys.setdefault(short, set()).update(value)
        return True

    def of(self, key: str) -> Collection[str]:
        """The labels or sizes of a measure."""
        return self._keys.get(encoding.short_key(key), _NO_KEYS)


_NO_KEYS: frozenset[str] = frozenset()


def _kind(short: str) -> Kind:
    return kind_of(encoding.long_key(short))


def within_limits(tally: Tally, known: KnownKeys, limit: int) -> Tally:
    """Fold keys of `tally`, so that with `known` there are at most `limit` labels each, and a few more."""
    tally = known.parts.within_limits(tally, limit)
    folded: dict[str, Value] = {}
    for key, value in tally.items():
        kind = kind_of(key)
        if kind is Kind.LABELS:
            labels = cast("Mapping[str, int]", value)
            folded[key] = _folded(labels, known.of(key), limit, _other)
        elif kind is Kind.SIZES:
            sizes = cast("Mapping[int, int]", value)
            known_sizes = frozenset(map(int, known.of(key)))
            folded[key] = _folded(sizes, known_sizes, MAX_BATCH_SIZES, _next_power_of_two)
    return Tally.by_key({**dict(tally.items()), **folded}) if folded else tally


def _other(_: str) -> str:
    return OTHER_KEY


def _next_power_of_two(rows: int) -> int:
    return min(1 << max(rows - 1, 0).bit_length(), MAX_ROWS)


def _folded(
    counts: Mapping[Key, int], known: Collection[Key], limit: int, fold: Callable[[Key], Key]
) -> Mapping[Key, int]:
    new = [key for key in counts if key not in known]
    over = set(new[max(0, limit - len(known)) :])
    if not over:
        return counts
    kept: dict[Key, int] = {}
    for key, count in counts.items():
        add_counts(kept, {fold(key) if key in over else key: count})
    return kept
