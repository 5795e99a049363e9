"""Tallies: values by measure, of which two add up to what both counted."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping
from typing import TypeVar, cast

from headrace.telemetry.histogram import MAX_COUNT, Histogram
from headrace.telemetry.measures import ERRORS, SUCCESSES, Kind, Measure, Value
from headrace.telemetry.parts import LEFT_REASONS

Key = TypeVar("Key", str, int)
SomeValue = TypeVar("SomeValue", bound=Value)


class Tally:
    """The values of the measures that counted something; those of others are zero.

    Neither a tally nor a value in it changes: a sum is a new one, so whoever reads one reads it whole. No
    count grows beyond MAX_COUNT: whatever is reported, sums can be stored, sent and read.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Measure[Value], Value] | None = None) -> None:
        self._values = {
            measure.key: value for measure, value in (values or {}).items() if not is_zero(value)
        }

    @classmethod
    def by_key(cls, values: dict[str, Value]) -> Tally:
        """Make a tally of values by the keys of their measures, known or not; none may be zero."""
        tally = cls()
        tally._values = values
        return tally

    def __getitem__(self, measure: Measure[SomeValue]) -> SomeValue:
        """The value of a measure; zero where nothing was counted."""
        value = self._values.get(measure.key)
        return cast("SomeValue", zero(measure.kind) if value is None else value)

    def __contains__(self, measure: Measure[Value]) -> bool:
        """True where the measure counted something."""
        return measure.key in self._values

    def items(self) -> ItemsView[str, Value]:
        """All values that are not zero, by the keys of their measures."""
        return self._values.items()

    def keys(self) -> KeysView[str]:
        """The keys of the measures that counted something."""
        return self._values.keys()

    def get(self, key: str, default: Value) -> Value:
        """The value of a measure by its key; `default` where nothing was counted."""
        return self._values.get(key, default)

    @property
    def error_count(self) -> int:
        """Requests answered with an error, whatever its reason."""
        return saturated(sum(self[ERRORS].values()))

    @property
    def left_count(self) -> int:
        """Requests whose callers left before they were answered: no rate of errors has them."""
        return sum(self[ERRORS].get(reason, 0) for reason in LEFT_REASONS)

    @property
    def failed_count(self) -> int:
        """Requests answered with an error, but for those whose callers left."""
        return self.error_count - min(self.left_count, self.error_count)

    @property
    def error_share(self) -> float:
        """The share of errors among the requests whose callers stayed, 0 to 1."""
        return self.failed_count / max(1, self[SUCCESSES] + self.failed_count)

    @property
    def request_count(self) -> int:
        """Requests answered, well or not."""
        return saturated(self[SUCCESSES] + self.error_count)

    def plus(self, other: Tally) -> Tally:
        """Add two tallies; neither is changed."""
        total = dict(self._values)
        for key, value in other._values.items():
            known = total.get(key)
            total[key] = value if known is None else plus(known, value)
        return Tally.by_key(total)


def zero(kind: Kind) -> Value:
    """Give the value of a measure that counted nothing."""
    if kind is Kind.COUNTER:
        return 0
    if kind is Kind.HISTOGRAM:
        return Histogram()
    return {}


def is_zero(value: Value) -> bool:
    """True for the value of a measure that counted nothing."""
    if isinstance(value, Histogram):
        return value.is_empty
    return not value


def plus(one: Value, other: Value) -> Value:
    """Add two values of one kind; neither is changed."""
    if isinstance(one, int) and isinstance(other, int):
        return saturated(one + other)
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        return one.plus(other)
    return _sum_of_counts(cast("Mapping[str, int]", one), cast("Mapping[str, int]", other))


def _sum_of_counts(one: Mapping[Key, int], other: Mapping[Key, int]) -> dict[Key, int]:
    total = dict(one)
    add_counts(total, other)
    return total


def add_counts(counts: dict[Key, int], more: Mapping[Key, int]) -> None:
    """Add `more` to `counts`, key by key."""
    for key, count in more.items():
        counts[key] = saturated(counts.get(key, 0) + count)


def saturated(count: int) -> int:
    """`count`, or where it is larger MAX_COUNT."""
    return min(count, MAX_COUNT)
