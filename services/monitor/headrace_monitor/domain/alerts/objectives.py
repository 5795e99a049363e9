"""How the service objectives stand: budgets of their periods, and how fast they burn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from headrace.alert_rules.durations import seconds_of
from headrace.alert_rules.rules import BurnWindow, Objective
from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.alerts.alerts import Burn, ObjectiveStatus, Subject
from headrace_monitor.domain.alerts.budgets import HOUR_SECONDS, BudgetKey
from headrace_monitor.domain.alerts.figures import ServiceFigures, ServiceWindow
from headrace_monitor.domain.alerts.service_checks import (
    Counted,
    burn_rate,
    count,
    status_of,
)
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.telemetry.report import NANOSECONDS

FRESH_NS = 10 * NANOSECONDS


class Objectives:
    """Answers how the objectives stand now."""

    def __init__(self, book: AlertBook, service: ServiceFigures, clock: Clock) -> None:
        self._book = book
        self._service = service
        self._clock = clock
        self._known: list[ObjectiveStatus] = []
        self._known_of: tuple[str, int] = ("", 0)
        self._asking = asyncio.Lock()

    async def statuses(self, is_seen: Callable[[str], bool]) -> list[ObjectiveStatus]:
        """All of the models that are seen, those with the least budget left first; 10 s old at most.

        Hours of all models are added up for it: once for all who ask at a time.
        """
        async with self._asking:
            known_of = self._book.in_force.etag, self._clock().steady_ns // FRESH_NS
            if known_of != self._known_of:
                self._known = await self._all()
                self._known_of = known_of
            return [each for each in self._known if is_seen(each.model)]

    async def _all(self) -> list[ObjectiveStatus]:
        rules = [rule for rule in self._book.in_force.rules.active if isinstance(rule, Objective)]
        if not rules:
            return []
        windows = await self._windows(rules)
        present = await self._service.during(self._present_seconds(), _all_models)
        found = [each for rule in rules for each in self._of(rule, present, windows)]
        return sorted(found, key=lambda each: (each.budget_left, each.rule, each.model))

    async def _windows(self, rules: Sequence[Objective]) -> dict[float, ServiceWindow]:
        wanted = {seconds_of(text) for rule in rules for each in rule.burn for text in _both(each)}
        return {
            seconds: await self._service.during(seconds, _all_models) for seconds in sorted(wanted)
        }

    def _present_seconds(self) -> float:
        """How long ago the last hour ended that is counted, or a day where none is."""
        counted = self._book.budgets.counted_hour
        if not counted:
            return 24.0 * HOUR_SECONDS
        now = self._clock().now_ns / NANOSECONDS
        return min(max(now - (counted + 1) * HOUR_SECONDS, 1.0), 24.0 * HOUR_SECONDS)

    def _of(
        self,
        rule: Objective,
        present: ServiceWindow,
        windows: dict[float, ServiceWindow],
    ) -> list[ObjectiveStatus]:
        counted = dict(count(rule, present))
        subjects = {*counted} | {
            Subject(key.model, key.version)
            for key in self._book.budgets.known()
            if key.rule == rule.name
        }
        by_window = {seconds: dict(count(rule, window)) for seconds, window in windows.items()}
        return [
            self._status(rule, subject, counted.get(subject, Counted()), present, by_window)
            for subject in subjects
        ]

    def _status(
        self,
        rule: Objective,
        subject: Subject,
        present: Counted,
        window: ServiceWindow,
        by_window: dict[float, dict[Subject, Counted]],
    ) -> ObjectiveStatus:
        budgets = self._book.budgets
        since = budgets.counted_hour - int(rule.period_seconds // HOUR_SECONDS) + 1
        key = BudgetKey(rule.name, subject.model, subject.version)
        hours = budgets.total(key, since)
        all_of_it = Counted(hours.requests + present.requests, hours.bad + present.bad)
        covered = min(hours.hours * HOUR_SECONDS + window.seconds, rule.period_seconds)
        burns = tuple(
            Burn(
                seconds_of(text),
                burn_rate(rule, by_window[seconds_of(text)].get(subject, Counted())),
                each.rate,
            )
            for each in rule.burn
            for text in _both(each)
        )
        status = status_of(rule, subject, all_of_it)
        return replace(status, covered_seconds=covered, burns=burns, incomplete=window.incomplete)


def _both(window: BurnWindow) -> tuple[str, str]:
    return window.short, window.long


def _all_models(_: str) -> bool:
    return True
