"""What objectives counted, hour by hour: budgets are for a month, and windows are kept for a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from headrace_monitor.domain.alerts.alerts import Subject
from headrace_monitor.domain.alerts.service_checks import Counted

HOUR_SECONDS = 3600
MAX_HOURS = 30 * 24
KEPT_HOURS = 24
"""So far back hours are counted that were not when they were over: before a rule was applied, say."""
MAX_BUDGETS = 2000
"""Subjects of objectives whose hours are kept, some 15 kB each when a month is full."""


class BudgetKey(NamedTuple):
    """Whose budget: an objective's, of a model or version."""

    rule: str
    model: str
    version: int


class Hours(NamedTuple):
    """What was counted of a budget."""

    requests: int
    bad: int
    hours: int


class Budgets:
    """Keeps for each budget by hour how many requests there were, and how many of them were bad."""

    def __init__(self) -> None:
        self._hours: dict[BudgetKey, dict[int, tuple[int, int]]] = {}
        self.changed: set[BudgetKey] = set()
        self.gone: set[BudgetKey] = set()
        self.counted_hour = 0
        """The hour that was counted last, since the epoch; 0 for none."""

    def restore(self, key: BudgetKey, hours: Mapping[int, tuple[int, int]]) -> None:
        """Take up what was stored."""
        self._hours[key] = dict(hours)
        self.counted_hour = max(self.counted_hour, *hours, 0)

    def of(self, key: BudgetKey) -> Mapping[int, tuple[int, int]]:
        """Return the hours of a budget."""
        return self._hours.get(key, {})

    def count(self, hour: int, counted: Iterable[tuple[str, Subject, Counted]]) -> None:
        """Set what was counted in an hour that is over, and drop what is older than a month."""
        self.counted_hour = hour
        for rule, subject, found in counted:
            key = BudgetKey(rule, subject.model, subject.version)
            if key in self._hours or len(self._hours) < MAX_BUDGETS:
                self._hours.setdefault(key, {})[hour] = (found.requests, found.bad)
                self.changed.add(key)
        for key, hours in list(self._hours.items()):
            for old in [each for each in hours if each <= hour - MAX_HOURS]:
                del hours[old]
                self.changed.add(key)
            if not hours:
                del self._hours[key]
                self.changed.discard(key)
                self.gone.add(key)

    def next_hour(self, over: int) -> int | None:
        """Give the hour to count next, where `over` was the last whole one; None where all are counted.

        Hours that were missed are made up for, as far as windows are kept, one after the other.
        """
        if self.counted_hour == over:
            return None
        if self.counted_hour > over:  # the clock was set back
            return over
        return max(self.counted_hour + 1, over - KEPT_HOURS + 1)

    def forget_rules(self, names: Iterable[str]) -> None:
        """Drop the budgets of all rules but these."""
        kept = set(names)
        for key in [key for key in self._hours if key.rule not in kept]:
            del self._hours[key]
            self.changed.discard(key)
            self.gone.add(key)

    def total(self, key: BudgetKey, since_hour: int) -> Hours:
        """Return what was counted from an hour on."""
        hours = [each for hour, each in self.of(key).items() if hour >= since_hour]
        return Hours(sum(each[0] for each in hours), sum(each[1] for each in hours), len(hours))

    def known(self) -> list[BudgetKey]:
        """Return all budgets."""
        return list(self._hours)

    def mark_stored(self) -> None:
        """All that changed is stored."""
        self.changed, self.gone = set(), set()
